"""What happens all the time is told now and then."""

from __future__ import annotations

from app.telemetry.seldom import Seldom


def test_the_first_time_is_told_and_the_next_ones_within_the_pause_are_not() -> None:
    seldom = Seldom(3600)

    assert [seldom.is_due() for _ in range(3)] == [True, False, False]


def test_after_the_pause_it_is_told_again() -> None:
    seldom = Seldom(0)

    assert [seldom.is_due() for _ in range(2)] == [True, True]
