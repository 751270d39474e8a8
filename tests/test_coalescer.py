"""The line of questions: every duty of it, without a database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.coalescer import Coalescer, LineClosed, LineFull, Outage

Line = Coalescer[int, str]


@dataclass
class Station:
    """Where trips go: keeps every batch until the test lets it return, and answers `n` with `"n"`."""

    batches: list[list[int]] = field(default_factory=list)
    arrived: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    may_return: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    async def hold(self, questions: Sequence[int]) -> list[str]:
        self.batches.append(list(questions))
        self.arrived.release()
        await self.may_return.acquire()
        return [str(question) for question in questions]

    def let_return(self, trips: int = 1) -> None:
        for _ in range(trips):
            self.may_return.release()


def make_line(*, max_batch: int = 100, max_line: int = 100) -> Line:
    return Line(max_batch=max_batch, max_line=max_line)


@asynccontextmanager
async def served(line: Line, *trips: Callable[[Sequence[int]], Awaitable[Sequence[str]]]) -> AsyncIterator[None]:
    """One server of the line for each trip; all must still be at work at the end."""
    servers = [asyncio.create_task(line.serve_line(trip)) for trip in trips]
    try:
        yield
        assert not any(server.done() for server in servers), "a server of the line died"
    finally:
        for server in servers:
            server.cancel()
        await asyncio.gather(*servers, return_exceptions=True)


async def ask_all(line: Line, questions: Sequence[int]) -> list[asyncio.Task[str]]:
    """Askers that stand in the line when this returns, in the order of their questions."""
    tasks = [asyncio.create_task(line.ask(question)) for question in questions]
    await asyncio.sleep(0)
    return tasks


async def outcomes(tasks: Sequence[asyncio.Task[str]]) -> list[str | type[BaseException]]:
    """The answers, or the types of the errors, within a second."""
    async with asyncio.timeout(1):
        found = await asyncio.gather(*tasks, return_exceptions=True)
    return [type(one) if isinstance(one, BaseException) else one for one in found]


async def test_questions_that_come_during_a_trip_share_the_next_one() -> None:
    line, station = make_line(), Station()
    async with served(line, station.hold):
        first = await ask_all(line, [1])
        await station.arrived.acquire()
        others = await ask_all(line, [2, 3, 4])
        station.let_return(2)

        assert await outcomes([*first, *others]) == ["1", "2", "3", "4"]

    assert station.batches == [[1], [2, 3, 4]]


async def test_a_batch_has_a_maximum_size_and_keeps_the_order() -> None:
    line, station = make_line(max_batch=3), Station()
    tasks = await ask_all(line, [5, 1, 4, 2, 3, 0, 7])
    async with served(line, station.hold):
        station.let_return(3)

        assert await outcomes(tasks) == ["5", "1", "4", "2", "3", "0", "7"]

    assert station.batches == [[5, 1, 4], [2, 3, 0], [7]]


async def test_a_bad_question_hurts_only_its_asker() -> None:
    trips: list[list[int]] = []

    async def trip(questions: Sequence[int]) -> list[str]:
        trips.append(list(questions))
        if 2 in questions:
            raise ValueError("two")
        return [str(question) for question in questions]

    line = make_line()
    tasks = await ask_all(line, [1, 2, 3])
    async with served(line, trip):
        assert await outcomes(tasks) == ["1", ValueError, "3"]
        assert await outcomes(await ask_all(line, [4])) == ["4"]

    assert trips == [[1, 2, 3], [1], [2], [3], [4]]


async def test_a_bad_question_that_travels_alone_is_not_asked_twice() -> None:
    trips: list[list[int]] = []

    async def trip(questions: Sequence[int]) -> list[str]:
        trips.append(list(questions))
        raise ValueError("bad")

    line = make_line()
    async with served(line, trip):
        assert await outcomes(await ask_all(line, [1])) == [ValueError]

    assert trips == [[1]]


async def test_an_outage_is_told_to_all_who_wait_after_one_trip_and_the_next_question_tries_anew() -> None:
    trips: list[list[int]] = []

    async def trip(questions: Sequence[int]) -> list[str]:
        trips.append(list(questions))
        if len(trips) == 1:
            raise Outage("away")
        return [str(question) for question in questions]

    line = make_line(max_batch=2)
    tasks = await ask_all(line, [1, 2, 3, 4, 5])
    async with served(line, trip):
        assert await outcomes(tasks) == [Outage] * 5
        assert await outcomes(await ask_all(line, [6])) == ["6"]

    assert trips == [[1, 2], [6]]


async def test_an_outage_while_a_batch_is_retried_one_by_one_makes_no_storm() -> None:
    trips: list[list[int]] = []

    async def trip(questions: Sequence[int]) -> list[str]:
        trips.append(list(questions))
        if len(questions) > 1:
            raise ValueError("one of these is bad")
        if questions[0] >= 2:
            raise Outage("away")
        return [str(question) for question in questions]

    line = make_line(max_batch=4)
    tasks = await ask_all(line, [1, 2, 3, 4, 5])
    async with served(line, trip):
        assert await outcomes(tasks) == ["1", Outage, Outage, Outage, Outage]

    assert trips == [[1, 2, 3, 4], [1], [2]]


async def test_a_caller_who_hung_up_in_line_is_skipped() -> None:
    line, station = make_line(), Station()
    tasks = await ask_all(line, [1, 2, 3])
    tasks[1].cancel()
    async with served(line, station.hold):
        station.let_return()

        assert await outcomes(tasks) == ["1", asyncio.CancelledError, "3"]

    assert station.batches == [[1, 3]]


async def test_a_line_of_callers_who_all_hung_up_makes_no_trip() -> None:
    line, station = make_line(), Station()
    gone = await ask_all(line, [1, 2])
    for task in gone:
        task.cancel()
    await outcomes(gone)
    async with served(line, station.hold):
        station.let_return()
        assert await outcomes(await ask_all(line, [3])) == ["3"]

    assert station.batches == [[3]]


async def test_a_caller_who_hangs_up_during_the_trip_takes_nobodys_answer_away() -> None:
    line, station = make_line(), Station()
    async with served(line, station.hold):
        tasks = await ask_all(line, [1, 2, 3])
        await station.arrived.acquire()
        tasks[0].cancel()
        station.let_return()

        assert await outcomes(tasks) == [asyncio.CancelledError, "2", "3"]


async def test_a_caller_who_hung_up_is_not_asked_for_again_one_by_one() -> None:
    trips: list[list[int]] = []
    tasks: list[asyncio.Task[str]] = []

    async def trip(questions: Sequence[int]) -> list[str]:
        trips.append(list(questions))
        if len(questions) > 1:
            tasks[1].cancel()
            await asyncio.sleep(0)
            raise ValueError("bad")
        return [str(question) for question in questions]

    line = make_line()
    tasks += await ask_all(line, [1, 2, 3])
    async with served(line, trip):
        assert await outcomes(tasks) == ["1", asyncio.CancelledError, "3"]

    assert trips == [[1, 2, 3], [1], [3]]


async def test_a_full_line_refuses_at_once_and_takes_questions_again_when_it_moved() -> None:
    line, station = make_line(max_line=2), Station()
    waiting = await ask_all(line, [1, 2])

    with pytest.raises(LineFull):
        await line.ask(3)

    async with served(line, station.hold):
        station.let_return(2)
        assert await outcomes(waiting) == ["1", "2"]
        assert await outcomes(await ask_all(line, [4])) == ["4"]


async def test_shutdown_tells_those_in_line_and_those_in_flight() -> None:
    line, station = make_line(), Station()
    server = asyncio.create_task(line.serve_line(station.hold))
    in_flight = await ask_all(line, [1, 2])
    await station.arrived.acquire()
    in_line = await ask_all(line, [3, 4])

    line.close()
    server.cancel()

    assert await outcomes([*in_flight, *in_line]) == [LineClosed] * 4
    with pytest.raises(LineClosed):
        await line.ask(5)
    with pytest.raises(asyncio.CancelledError):
        await server


async def test_shutdown_during_a_retry_one_by_one_tells_the_rest() -> None:
    station = Station()

    async def trip(questions: Sequence[int]) -> list[str]:
        if len(questions) > 1:
            raise ValueError("bad")
        return await station.hold(questions)

    line = make_line()
    server = asyncio.create_task(line.serve_line(trip))
    tasks = await ask_all(line, [1, 2, 3])
    await station.arrived.acquire()
    station.let_return()
    await station.arrived.acquire()

    line.close()
    server.cancel()

    assert await outcomes(tasks) == ["1", LineClosed, LineClosed]
    assert station.batches == [[1], [2]]
    with pytest.raises(asyncio.CancelledError):
        await server


async def test_two_servers_of_one_line_keep_two_batches_in_flight() -> None:
    line, station = make_line(max_batch=2), Station()
    async with served(line, station.hold, station.hold):
        tasks = await ask_all(line, [1, 2, 3, 4, 5])
        await station.arrived.acquire()
        await station.arrived.acquire()

        assert station.batches == [[1, 2], [3, 4]]

        station.let_return(3)
        assert await outcomes(tasks) == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("answers", [[], ["x"], ["x"] * 3])
async def test_a_wrong_number_of_answers_is_an_error_for_the_askers_and_the_line_lives(answers: list[str]) -> None:
    async def trip(questions: Sequence[int]) -> list[str]:
        return ["9"] if list(questions) == [9] else answers

    line = make_line()
    tasks = await ask_all(line, [1, 2])
    async with served(line, trip):
        expected = ["x", "x"] if len(answers) == 1 else [RuntimeError, RuntimeError]
        assert await outcomes(tasks) == expected
        assert await outcomes(await ask_all(line, [9])) == ["9"]


async def test_the_observer_is_told_how_many_still_wait() -> None:
    lengths: list[int] = []
    line, station = Line(max_batch=2, max_line=9, observe_line=lengths.append), Station()
    tasks = await ask_all(line, [1, 2, 3, 4, 5])
    async with served(line, station.hold):
        station.let_return(3)
        await outcomes(tasks)

    assert lengths == [3, 1, 0]


async def test_an_observer_that_fails_leaves_nobody_waiting() -> None:
    def fail_once(length: int) -> None:
        if length == 1:
            raise ZeroDivisionError

    line, station = Line(max_batch=2, max_line=9, observe_line=fail_once), Station()
    tasks = await ask_all(line, [1, 2, 3])
    async with served(line, station.hold):
        station.let_return()

        assert await outcomes(tasks) == [ZeroDivisionError, ZeroDivisionError, "3"]


STEPS = st.lists(st.sampled_from(["ask", "ask", "ask", "hang up", "return", "fail", "outage", "turn"]), max_size=40)


@settings(deadline=None, max_examples=150)
@given(steps=STEPS, servers=st.integers(1, 3), max_batch=st.integers(1, 4))
def test_whatever_happens_in_whatever_order_everybody_gets_his_own_answer_or_is_told(
    steps: list[str], servers: int, max_batch: int
) -> None:
    asyncio.run(_play(steps, servers, max_batch))


async def _play(steps: list[str], servers: int, max_batch: int) -> None:
    on_the_way: list[tuple[list[int], asyncio.Future[list[str]]]] = []

    async def trip(questions: Sequence[int]) -> list[str]:
        future: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        on_the_way.append((list(questions), future))
        return await future

    line = make_line(max_batch=max_batch)
    tasks: list[asyncio.Task[str]] = []
    async with served(line, *[trip] * servers):
        for step in steps:
            if step == "ask":
                tasks += await ask_all(line, [len(tasks)])
            elif step == "hang up" and tasks:
                tasks[len(tasks) // 2].cancel()
            elif step != "turn" and on_the_way:
                _end_trip(step, *on_the_way.pop())
            await asyncio.sleep(0)
        while not all(task.done() for task in tasks):
            for questions, future in on_the_way:
                _end_trip("return", questions, future)
            on_the_way.clear()
            await asyncio.sleep(0)
        found = await outcomes(tasks)

    for number, outcome in enumerate(found):
        assert outcome in (str(number), asyncio.CancelledError, Outage, ValueError)


def _end_trip(how: str, questions: list[int], future: asyncio.Future[list[str]]) -> None:
    if how == "fail":
        future.set_exception(ValueError("bad"))
    elif how == "outage":
        future.set_exception(Outage("away"))
    else:
        future.set_result([str(question) for question in questions])
