"""A deadline holds also when psycopg waits politely, and takes nobody else's cancellation."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import pytest

from app.db.deadline import Deadline
from app.db.engine import connect
from tests.db.stoppable import Stoppable

FOREVER = 60


async def test_a_block_that_ends_in_time_is_left_alone() -> None:
    async with Deadline(FOREVER):
        answer = await asyncio.sleep(0, "answer")

    assert answer == "answer"


async def test_a_block_that_takes_longer_is_a_timeout() -> None:
    with pytest.raises(TimeoutError, match=r"not done within 0\.01 s"):
        async with Deadline(0.01):
            await asyncio.Event().wait()


async def test_an_error_of_the_block_stays_what_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        async with Deadline(FOREVER):
            raise ZeroDivisionError


async def test_a_timeout_leaves_the_task_usable() -> None:
    with pytest.raises(TimeoutError):
        async with Deadline(0.01):
            await asyncio.Event().wait()

    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    async with asyncio.timeout(1):
        await asyncio.sleep(0)


async def test_it_insists_when_the_block_swallows_the_first_cancellation() -> None:
    swallowed = 0

    async def be_stubborn() -> None:
        nonlocal swallowed
        async with Deadline(0.01):
            while swallowed < 2:
                with suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
                swallowed += 1
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await be_stubborn()
    assert swallowed == 2


async def test_the_inner_of_two_deadlines_ends_only_its_own_block() -> None:
    async with Deadline(FOREVER):
        with pytest.raises(TimeoutError, match=r"0\.01"):
            async with Deadline(0.01):
                await asyncio.Event().wait()
        answer = await asyncio.sleep(0, "the outer block goes on")

    assert answer == "the outer block goes on"


async def test_the_outer_of_two_deadlines_ends_both_blocks() -> None:
    async def wait_inside() -> None:
        try:
            async with Deadline(FOREVER):
                await asyncio.Event().wait()
        except TimeoutError:
            pytest.fail("the inner deadline took the outer one's cancellation")

    with pytest.raises(TimeoutError, match=r"0\.01"):
        async with Deadline(0.01):
            await wait_inside()


async def test_two_deadlines_at_the_same_moment_are_one_timeout() -> None:
    with pytest.raises(TimeoutError):
        async with Deadline(0.01), Deadline(0.01):
            await asyncio.Event().wait()

    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_cancellation_from_outside_is_not_swallowed() -> None:
    is_inside = asyncio.Event()

    async def wait() -> None:
        async with Deadline(FOREVER):
            is_inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await is_inside.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_from_outside_wins_over_a_deadline_that_has_passed() -> None:
    has_passed = asyncio.Event()

    async def wait() -> None:
        async with Deadline(0.01):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                has_passed.set()
                await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await has_passed.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_that_was_swallowed_before_does_not_spoil_a_later_deadline() -> None:
    is_waiting = asyncio.Event()

    async def swallow_then_wait() -> None:
        try:
            is_waiting.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass
        async with Deadline(0.01):
            await asyncio.Event().wait()

    task = asyncio.create_task(swallow_then_wait())
    await is_waiting.wait()
    task.cancel()

    with pytest.raises(TimeoutError):
        await task


async def test_asyncio_timeout_around_it_still_works() -> None:
    async def wait_inside() -> None:
        try:
            async with Deadline(FOREVER):
                await asyncio.Event().wait()
        except TimeoutError:
            pytest.fail("the deadline took the timeout's cancellation")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await wait_inside()


async def test_a_query_of_a_server_that_hangs_ends_in_time(stoppable: Stoppable) -> None:
    connection = await connect(stoppable.url, autocommit=True)
    await connection.execute("SELECT 1")

    with stoppable.frozen():
        began_at = time.monotonic()
        with pytest.raises(TimeoutError):
            async with Deadline(0.3):
                await connection.execute("SELECT 1")
        took = time.monotonic() - began_at

    assert took < 5
    await connection.close()


async def test_a_connection_to_a_server_that_hangs_is_given_up_in_time(stoppable: Stoppable) -> None:
    with stoppable.frozen():
        began_at = time.monotonic()
        with pytest.raises(TimeoutError):
            await connect(stoppable.url)
        took = time.monotonic() - began_at

    assert took < 6
