"""Schedules: which moments there are, which are refused, and what becomes of those that were missed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from cronsim import CronSim
from hypothesis import assume, given
from hypothesis import strategies as st

from app.domain.maintenance import PruneOptions, ReindexOptions, TableOptions
from app.domain.runs import RunKind
from app.domain.schedules import (
    GRACE,
    LONGEST_WAIT,
    SHORTEST_PAUSE,
    InvalidCron,
    MissedPolicy,
    ScheduleBroken,
    due_slot,
    has_waited_enough,
    needs_look,
    next_slot,
    next_slots,
    read_terms,
    reason_to_skip,
    require_cron,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

moments = st.integers(0, 20 * 365 * 24 * 3600).map(lambda seconds: NOW + timedelta(seconds=seconds))


def numbers(least: int, most: int) -> st.SearchStrategy[str]:
    """A field: any, every so many, a range, or a list of numbers."""
    number = st.integers(least, most)
    return st.one_of(
        st.just("*"),
        st.integers(1, most).map(lambda step: f"*/{step}"),
        st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}"),
        st.lists(number, min_size=1, max_size=4, unique=True).map(lambda some: ",".join(map(str, some))),
    )


@st.composite
def crons(draw: st.DrawFn) -> str:
    """A cron expression that a schedule may have."""
    fields = (numbers(0, 59), numbers(0, 23), numbers(1, 31), numbers(1, 12), numbers(0, 7))
    try:
        return require_cron(" ".join(draw(field) for field in fields))
    except InvalidCron:
        assume(False)
        raise


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "five fields"),
        ("30 4 * *", "five fields"),
        ("0 30 4 * * SUN", "five fields"),
        ("@daily", "five fields"),
        ("0 0 1 1 " + "1," * 50 + "1", "at most 100 characters"),
        ("60 4 * * *", "bad minute"),
        ("30 24 * * *", "bad hour"),
        ("30 4 32 * *", "bad day of month"),
        ("30 4 * 13 *", "bad month"),
        ("30 4 * * MONDAY", "bad day of week"),
        ("30 4 31 2 *", "bad day of month"),
        ("30 4 31 4,6 *", "bad day of month"),
        ("0 0 30 2 *", "bad day of month"),
        ("* * * * *", "more often than every 5 minutes"),
        ("*/4 * * * *", "more often than every 5 minutes"),
        ("0,4 3 * * *", "more often than every 5 minutes"),
        ("0 0 */31 * MON#5", "never comes"),
        ("2,58 0,23 * * *", "more often than every 5 minutes"),
    ],
)
def test_what_can_not_be_read_never_comes_or_comes_too_often_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(InvalidCron, match=why) as refusal:
        require_cron(text)

    assert [error.field for error in refusal.value.errors] == ["cron"]


@pytest.mark.parametrize(
    ("text", "slots"),
    [
        ("30 4 * * SUN", ["2026-03-08 04:30", "2026-03-15 04:30"]),
        (" 30  5 * * sun#1 ", ["2026-04-05 05:30", "2026-05-03 05:30"]),
        ("30 3 1 * *", ["2026-04-01 03:30", "2026-05-01 03:30"]),
        ("0 0 L * *", ["2026-03-31 00:00", "2026-04-30 00:00"]),
        ("0 0 29 2 *", ["2028-02-29 00:00", "2032-02-29 00:00"]),
        ("*/5 * * * *", ["2026-03-01 12:05", "2026-03-01 12:10"]),
        ("0 12 * * *", ["2026-03-02 12:00", "2026-03-03 12:00"]),
    ],
)
def test_slots_come_after_the_moment_in_utc(text: str, slots: list[str]) -> None:
    found = next_slots(require_cron(text), NOW, 2)

    assert [slot.strftime("%Y-%m-%d %H:%M") for slot in found] == slots
    assert {slot.utcoffset() for slot in found} == {timedelta()}


@given(st.text(max_size=120) | st.text("0123456789*,-/#LW SUNJA", max_size=60))
def test_whatever_is_typed_is_accepted_or_refused_and_nothing_else(text: str) -> None:
    try:
        cron = require_cron(text)
    except InvalidCron:
        return
    assert require_cron(cron) == cron


@given(crons(), moments)
def test_slots_are_in_order_and_never_closer_than_five_minutes(cron: str, after: datetime) -> None:
    slots = next_slots(cron, after, 20)

    assert after < slots[0]
    assert all(later - earlier >= SHORTEST_PAUSE for earlier, later in pairwise(slots))


@given(crons(), moments, st.timedeltas(timedelta(), timedelta(days=3)))
def test_of_all_slots_that_have_come_the_latest_is_wanted(cron: str, before: datetime, passed: timedelta) -> None:
    first = next_slot(cron, before)
    now = first + passed

    come = [first]
    for slot in CronSim(cron, first):
        if slot > now:
            break
        come.append(slot)

    assert due_slot(cron, first, now) == come[-1]


@pytest.mark.parametrize(
    ("next_run_in", "planned_ago", "needed"),
    [(None, None, True), (1, None, False), (1, 1, False), (1, 0, False), (0, 1, True), (-1, 1, True), (1, -1, True)],
)
def test_a_schedule_is_left_alone_until_its_slot_comes_unless_a_clock_was_ahead(
    next_run_in: int | None, planned_ago: int | None, needed: bool
) -> None:
    next_run_at = None if next_run_in is None else NOW + timedelta(seconds=next_run_in)
    planned_at = None if planned_ago is None else NOW - timedelta(seconds=planned_ago)

    assert needs_look(next_run_at, planned_at, NOW) == needed


@pytest.mark.parametrize(
    ("policy", "late", "waited", "reason"),
    [
        (MissedPolicy.RUN_ONCE, timedelta(days=30), None, None),
        (MissedPolicy.RUN_ONCE, timedelta(days=30), timedelta(days=30), None),
        (MissedPolicy.SKIP, GRACE, None, None),
        (MissedPolicy.SKIP, GRACE + timedelta(seconds=1), None, "Missed"),
        (MissedPolicy.SKIP, timedelta(minutes=59), timedelta(minutes=59), None),
        (MissedPolicy.SKIP, timedelta(hours=1), timedelta(hours=1), "Its turn did not come"),
        (MissedPolicy.SKIP, timedelta(days=7), timedelta(days=7), "Its turn did not come"),
    ],
)
def test_a_slot_that_was_missed_is_done_late_or_skipped_as_the_schedule_says(
    policy: MissedPolicy, late: timedelta, waited: timedelta | None, reason: str | None
) -> None:
    found = reason_to_skip(policy, NOW - late, None if waited is None else NOW - waited, NOW)

    assert (found or "").startswith(reason or "")
    assert (found is None) == (reason is None)


def test_a_slot_waits_an_hour_for_its_turn_and_begins_anew_when_the_clock_was_set_back() -> None:
    waits = [has_waited_enough(NOW, NOW + passed) for passed in (timedelta(), LONGEST_WAIT, -timedelta(seconds=1))]

    assert waits == [False, True, True]


@pytest.mark.parametrize(
    ("kind", "options", "read"),
    [
        ("vacuum", {"tables": ["licenses"], "force": True}, TableOptions(("licenses",), force=True)),
        ("analyze", {}, TableOptions()),
        ("reindex", {"indexes": ["ix_a"]}, ReindexOptions((), ("ix_a",))),
        ("prune", {"dryRun": True}, PruneOptions(dry_run=True)),
    ],
)
def test_the_terms_of_a_schedule_are_read(kind: str, options: dict[str, Any], read: object) -> None:
    assert read_terms("mine", kind, "30 4 * * *", options, "skip") == (RunKind(kind), read)


@pytest.mark.parametrize(
    ("kind", "cron", "options"),
    [
        ("defrag", "30 4 * * *", {}),
        ("vacuum", "30 4 31 2 *", {}),
        ("vacuum", "30 4 * * *", []),
        ("vacuum", "30 4 * * *", None),
        ("vacuum", "30 4 * * *", {"tables": "licenses"}),
        ("vacuum", "30 4 * * *", {"tables": [1]}),
        ("vacuum", "30 4 * * *", {"force": 1}),
        ("vacuum", "30 4 * * *", {"dryRun": True}),
        ("prune", "30 4 * * *", {"dryRun": None}),
    ],
)
def test_terms_that_nobody_could_have_set_are_told_with_the_name(kind: str, cron: str, options: object) -> None:
    with pytest.raises(ScheduleBroken, match=r"^The schedule mine can't be read: "):
        read_terms("mine", kind, cron, options, "skip")
