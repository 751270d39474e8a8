"""Errors that are alike are counted together, within bounds, and never with what somebody wrote."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from app.db.engine import Database
from app.db.models import ErrorGroupCount
from app.db.session import Session
from app.domain.error_groups import DayCount, ErrorKey, Occurrences, choose_window
from app.domain.errors import Invalid
from app.ops import error_groups
from app.ops.error_groups import ErrorTally
from app.telemetry.error_marks import ErrorMark
from app.telemetry.logging import errors_told_to, log
from tests.conftest import Clock
from tests.factories.store import NOW
from tests.web.logs import captured_lines

DEFECT = ErrorMark("defect", "builtins.ValueError", "app/services/licenses.py:issue")
LOGGER = logging.getLogger("app.somewhere")


@pytest.fixture
def marks() -> Iterator[list[ErrorMark]]:
    """What listeners are told meanwhile, through the handler that the server has."""
    heard: list[ErrorMark] = []
    with captured_lines("debug"), errors_told_to(heard.append):
        yield heard


def test_only_error_lines_are_told_by_event_exception_and_place(marks: list[ErrorMark]) -> None:
    log(LOGGER, logging.WARNING, "A warning", event="mail_put_off")
    log(LOGGER, logging.ERROR, "The database can't be used", event="database_outage", reason="password=hunter2")
    try:
        ErrorTally(lambda: 1 / 0).add(DEFECT)  # type: ignore[arg-type, return-value]  # it shall fail within the house
    except ZeroDivisionError:
        log(LOGGER, logging.ERROR, "A job failed", event="defect", exc_info=True)

    assert marks == [
        ErrorMark("database_outage", None, "app.somewhere"),
        ErrorMark("defect", "builtins.ZeroDivisionError", "app/ops/error_groups.py:ErrorTally.add"),
    ]


def test_nothing_that_somebody_wrote_gets_into_a_mark(marks: list[ErrorMark]) -> None:
    license_key = "ABCD-EFGH-JKLM-NPQR-STUV"
    odd = type(f"Odd <script> {license_key}", (Exception,), {"__module__": "<b>"})

    LOGGER.error("User anna@acme.example with %s failed", license_key)
    LOGGER.error("Hello", extra={"event": f"{license_key}\x1b[31m"})
    log(LOGGER, logging.CRITICAL, license_key, event="defect", exc_info=odd(license_key))
    logging.getLogger(license_key).error("Hello")

    assert [str(mark) for mark in marks if "script" in str(mark) or "anna" in str(mark) or "\x1b" in str(mark)] == []
    assert marks[:3] == [
        ErrorMark("log", None, "app.somewhere"),
        ErrorMark("unknown", None, "app.somewhere"),
        ErrorMark("defect", "unknown", "app.somewhere"),
    ]


def test_errors_are_counted_by_hour_and_mark(clock: Clock) -> None:
    tally = ErrorTally(clock)

    tally.add(DEFECT)
    clock.forward(minutes=59)
    tally.add(DEFECT)
    clock.forward(minutes=1)
    tally.add(DEFECT)

    later = NOW + timedelta(hours=1)
    assert tally.take() == {
        ErrorKey(NOW, *DEFECT): Occurrences(2, NOW, NOW + timedelta(minutes=59)),
        ErrorKey(later, *DEFECT): Occurrences(1, later, later),
    }
    assert tally.take() == {}


def test_a_flood_of_different_errors_is_counted_together_and_none_is_lost(clock: Clock) -> None:
    tally = ErrorTally(clock, max_groups=10)

    for number in range(1000):
        tally.add(ErrorMark("defect", f"app.Error{number}", "app"))
    tally.give_back(tally.take())

    counts = tally.take()
    assert (len(counts), sum(seen.count for seen in counts.values())) == (11, 1000)
    assert counts[ErrorKey(NOW, "other_errors", None, "")].count == 990


def test_a_flood_without_a_database_ends_in_a_bound(clock: Clock) -> None:
    tally = ErrorTally(clock, max_groups=10)

    for _ in range(100):
        clock.forward(hours=1)
        tally.add(DEFECT)

    assert len(tally.take()) == 20


async def test_counts_of_all_servers_add_up_by_day(tx: Session) -> None:
    for moment in (NOW, NOW, NOW - timedelta(minutes=30), NOW - timedelta(hours=12)):
        tally = ErrorTally(lambda moment=moment: moment)  # type: ignore[misc]  # a default binds the loop's value
        tally.add(DEFECT)
        tally.add(ErrorMark("database_outage", None, "app.db.errors"))
        tally.add(DEFECT)
        await error_groups.store(tx, tally.take())

    summary = await error_groups.summarize(tx, choose_window(None, NOW + timedelta(minutes=1), NOW))

    assert (summary.count, summary.group_count) == (12, 2)
    first, second = summary.groups
    assert (first.event, first.exception, first.place) == DEFECT
    assert first.occurrences == Occurrences(8, NOW - timedelta(hours=12), NOW)
    assert first.days == (DayCount(NOW.date(), 8),)
    assert (second.event, second.exception, second.occurrences.count) == ("database_outage", None, 4)


async def test_days_are_told_apart_and_a_window_ends_before_its_end(tx: Session) -> None:
    for days in range(3):
        tally = ErrorTally(lambda days=days: NOW - timedelta(days=days))  # type: ignore[misc]  # as above
        tally.add(DEFECT)
        await error_groups.store(tx, tally.take())

    summary = await error_groups.summarize(tx, choose_window(NOW - timedelta(days=2), NOW, NOW))

    [group] = summary.groups
    assert [(one.day.day, one.count) for one in group.days] == [(27, 1), (28, 1)]


async def test_of_an_hour_only_two_hundred_groups_are_kept_whatever_the_number_of_servers(tx: Session) -> None:
    for server in range(3):
        tally = ErrorTally(lambda: NOW)
        for number in range(150):
            tally.add(ErrorMark("defect", f"app.Error{server}x{number}", "app"))
        tally.add(DEFECT)
        await error_groups.store(tx, tally.take())

    rows, lines = (
        await tx.execute(select(func.count(), func.sum(ErrorGroupCount.count)).select_from(ErrorGroupCount))
    ).one()
    summary = await error_groups.summarize(tx, choose_window(None, NOW + timedelta(hours=1), NOW))
    assert (rows, lines) == (201, 453)
    assert (summary.count, summary.group_count, len(summary.groups)) == (453, 201, 100)
    assert [one.occurrences.count for one in summary.groups][:2] == [251, 3]


async def test_ten_servers_that_store_at_once_lose_nothing(fresh_database: str) -> None:
    database = Database(fresh_database, pool_size=10)

    async def store(number: int) -> None:
        tally = ErrorTally(lambda: NOW)
        for one in range(20):
            tally.add(ErrorMark("defect", f"app.Error{(one * number) % 20}", "app"))
        async with database.transaction() as tx:
            await error_groups.store(tx, tally.take())

    await asyncio.gather(*(store(number) for number in range(1, 11)))

    async with database.transaction() as tx:
        assert await tx.scalar(select(func.sum(ErrorGroupCount.count))) == 200
    await database.close()


async def test_old_counts_are_forgotten_the_oldest_first(tx: Session) -> None:
    for days in range(5):
        tally = ErrorTally(lambda days=days: NOW - timedelta(days=days))  # type: ignore[misc]  # as above
        tally.add(DEFECT)
        await error_groups.store(tx, tally.take())

    assert await error_groups.forget(tx, NOW - timedelta(days=1), limit=2) == 2
    assert await error_groups.forget(tx, NOW - timedelta(days=1), limit=2) == 1

    left = (await tx.scalars(select(ErrorGroupCount.hour).order_by(ErrorGroupCount.hour))).all()
    assert left == [NOW - timedelta(days=1), NOW]


@pytest.mark.parametrize("days", [0, -1, 90.1])
def test_a_window_that_is_none_is_refused(days: float) -> None:
    with pytest.raises(Invalid):
        choose_window(NOW - timedelta(days=days), None, NOW)
