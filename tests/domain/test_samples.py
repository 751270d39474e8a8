"""Growth by least squares, the day on which a limit is reached, and statements that became slower."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.findings import Level
from app.domain.samples import (
    Growth,
    StatementChange,
    StatementCost,
    compare_statements,
    judge_growth,
    judge_size,
)
from app.domain.words import ByteCount

LAST = date(2026, 3, 1)


def sizes(*numbers: int, every: int = 1) -> dict[date, int]:
    """A size for each day up to the last one."""
    return {LAST - timedelta(days=every * back): size for back, size in enumerate(reversed(numbers))}


STEADY = sizes(*range(100, 800, 100))


@pytest.mark.parametrize(
    ("found", "limit", "growth"),
    [
        ({}, 1000, Growth(None, None, "too few samples: 0 of 7 days")),
        (sizes(1, 2, 3, 4, 5, 6), 1000, Growth(None, None, "too few samples: 6 of 7 days")),
        (STEADY, None, Growth(100.0, None, "no limit is known")),
        (STEADY, 1000, Growth(100.0, LAST + timedelta(days=3), None)),
        (STEADY, 1099, Growth(100.0, LAST + timedelta(days=3), None)),
        (STEADY, 701, Growth(100.0, LAST, None)),
        (STEADY, 700, Growth(100.0, LAST, None)),
        (STEADY, 10, Growth(100.0, LAST, None)),
        (STEADY, 700 + 365_000, Growth(100.0, LAST + timedelta(days=3650), None)),
        (STEADY, 700 + 365_100, Growth(100.0, None, "not within ten years")),
        (STEADY, 10**18, Growth(100.0, None, "not within ten years")),
        (sizes(*[500] * 7), 1000, Growth(0.0, None, "it does not grow")),
        (sizes(*range(700, 0, -100)), 1000, Growth(-100.0, None, "it does not grow")),
        (sizes(*range(700, 0, -100)), 50, Growth(-100.0, LAST, None)),
        (sizes(*range(100, 800, 100), every=10), 1000, Growth(10.0, LAST + timedelta(days=30), None)),
    ],
)
def test_growth_has_a_day_or_a_reason(found: dict[date, int], limit: int | None, growth: Growth) -> None:
    assert judge_growth(found, limit) == growth


def test_a_day_that_stands_out_does_not_make_the_trend() -> None:
    growth = judge_growth(sizes(100, 200, 300, 4000, 500, 600, 700), 1000)

    assert growth.bytes_per_day == pytest.approx(100)
    assert growth.reached_on == LAST + timedelta(days=3)


def test_days_without_a_sample_count_as_days() -> None:
    found = {LAST - timedelta(days=back): 1000 - 10 * back for back in (0, 1, 2, 30, 31, 32, 60)}

    growth = judge_growth(found, 1101)

    assert growth.bytes_per_day == pytest.approx(10)
    assert growth.reached_on == LAST + timedelta(days=10)


@given(
    st.dictionaries(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.integers(0, 2**50), min_size=7, max_size=50),
    st.one_of(st.none(), st.integers(1, 2**60)),
)
def test_whatever_the_samples_there_is_a_day_or_a_reason_and_never_both(
    found: dict[date, int], limit: int | None
) -> None:
    growth = judge_growth(found, limit)

    assert (growth.reached_on is None) != (growth.reason is None)
    assert growth.reached_on is None or growth.reached_on >= max(found)


def cost(query_id: int, calls: int, total: float) -> StatementCost:
    return StatementCost(query_id, f"SELECT {query_id}", calls, total)


def test_statements_are_compared_by_what_they_cost_in_between_the_costliest_first() -> None:
    earlier = [cost(1, 100, 1000.0), cost(2, 10, 5000.0), cost(4, 5, 50.0)]
    later = [cost(1, 200, 6000.0), cost(2, 10, 5000.0), cost(3, 4, 9000.0)]

    changes = compare_statements(earlier, later)

    assert changes == [
        StatementChange(3, "SELECT 3", 4, 9000.0, 2250.0, None),
        StatementChange(1, "SELECT 1", 100, 5000.0, 50.0, 10.0),
    ]
    assert [one.is_slower for one in changes] == [False, True]


def test_statistics_that_were_reset_begin_anew() -> None:
    [change] = compare_statements([cost(1, 100, 1000.0)], [cost(1, 30, 6000.0)])

    assert (change.calls, change.milliseconds, change.milliseconds_before) == (30, 200.0, 10.0)
    assert change.is_slower


@pytest.mark.parametrize(
    ("calls", "milliseconds", "before", "is_slower"),
    [
        (20, 50.0, 25.0, True),
        (19, 50.0, 25.0, False),
        (20, 49.9, 1.0, False),
        (20, 50.0, 25.1, False),
        (20, 5000.0, None, False),
    ],
)
def test_slower_is_twice_as_slow_and_often_and_long_enough(
    calls: int, milliseconds: float, before: float | None, is_slower: bool
) -> None:
    assert StatementChange(1, "", calls, 0.0, milliseconds, before).is_slower is is_slower


def test_a_statement_that_was_never_called_before_has_no_time_before() -> None:
    [change] = compare_statements([cost(1, 0, 0.0)], [cost(1, 1, 5.0)])

    assert change.milliseconds_before is None


@pytest.mark.parametrize(
    ("size", "limit", "days", "level"),
    [
        (799, 1000, None, Level.GOOD),
        (800, 1000, None, Level.WARNING),
        (950, 1000, None, Level.BAD),
        (100, 1000, 31, Level.GOOD),
        (100, 1000, 30, Level.WARNING),
        (100, 1000, 8, Level.WARNING),
        (100, 1000, 7, Level.BAD),
        (1001, 1000, 0, Level.BAD),
        (800, 1000, 7, Level.BAD),
    ],
)
def test_the_size_is_judged_by_its_share_of_the_limit_and_the_days_that_are_left(
    size: int, limit: int, days: int | None, level: Level
) -> None:
    reached_on = None if days is None else LAST + timedelta(days=days)
    growth = Growth(10.0, reached_on, None if days is not None else "it does not grow")

    finding = judge_size(ByteCount(size), growth, ByteCount(limit), LAST)

    assert (finding.level, finding.action is None) == (level, level is Level.GOOD)


def test_the_sentence_on_growth_names_size_growth_limit_and_date_or_what_is_missing() -> None:
    gigabyte, mega = ByteCount(1 << 30), float(1 << 20)
    date_known = judge_size(gigabyte, Growth(mega, date(2030, 1, 2), None), ByteCount(20 << 30), LAST)
    no_date = judge_size(gigabyte, Growth(None, None, "too few samples: 3 of 7 days"), ByteCount(20 << 30), LAST)
    no_limit = judge_size(gigabyte, Growth(-mega, None, "no limit is known"), None, LAST)

    assert date_known.sentence == (
        "The database has 1.0 GB and changes by 1.0 MB a day; it reaches its limit of 20.0 GB on 2030-01-02."
    )
    assert no_date.sentence == (
        "The database has 1.0 GB; there is no date on which it reaches its limit of 20.0 GB: too few samples: 3 of"
        " 7 days."
    )
    assert no_limit.sentence == (
        "The database has 1.0 GB and changes by -1.0 MB a day; no limit is known, DATABASE_SIZE_LIMIT is not set."
    )
