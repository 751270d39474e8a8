"""What samples tell: how fast something grows, when it reaches its limit, and which statements became slower."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from app.domain.findings import Finding, Level
from app.domain.words import ByteCount

MIN_SAMPLES = 7
"""Fewer days than these say nothing: a week has its own rhythm."""
FARTHEST = timedelta(days=3650)
MIN_CALLS = 20
MIN_MILLISECONDS = 50.0
SLOWER = 2.0
SOON = timedelta(days=30)
VERY_SOON = timedelta(days=7)
FULL_WARNING = 0.8
FULL_BAD = 0.95


@dataclass(frozen=True, slots=True)
class Growth:
    """Bytes a day, and the day on which the limit is reached; where one is missing, why."""

    bytes_per_day: float | None
    reached_on: date | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class StatementCost:
    """What a statement has cost since the statistics began."""

    query_id: int
    query: str
    calls: int
    total_milliseconds: float


@dataclass(frozen=True, slots=True)
class StatementChange:
    """What a statement cost between two samples, and a call before them; None for one that is new."""

    query_id: int
    query: str
    calls: int
    total_milliseconds: float
    milliseconds: float
    milliseconds_before: float | None

    @property
    def is_slower(self) -> bool:
        """Whether it takes at least twice as long as before, and long and often enough to matter."""
        return (
            self.milliseconds_before is not None
            and self.calls >= MIN_CALLS
            and self.milliseconds >= MIN_MILLISECONDS
            and self.milliseconds >= SLOWER * self.milliseconds_before
        )


def judge_growth(sizes: Mapping[date, int], limit: int | None) -> Growth:
    """The growth over days with their sizes, by least squares, and the day on which it reaches the limit.

    The day is reckoned from the last sample on: what was there at the beginning of a steep week is gone.
    """
    if len(sizes) < MIN_SAMPLES:
        return Growth(None, None, f"too few samples: {len(sizes)} of {MIN_SAMPLES} days")
    last = max(sizes)
    slope = _slope([((day - last).days, size) for day, size in sizes.items()])
    if limit is None:
        return Growth(slope, None, "no limit is known")
    if sizes[last] >= limit:
        return Growth(slope, last, None)
    if slope <= 0:
        return Growth(slope, None, "it does not grow")
    days = (limit - sizes[last]) / slope
    if days > FARTHEST.days:
        return Growth(slope, None, "not within ten years")
    return Growth(slope, last + timedelta(days=int(days)), None)


def judge_size(size: ByteCount, growth: Growth, limit: ByteCount | None, today: date) -> Finding:
    """What is said of the database: its size, how it grows, and when it reaches its limit."""
    grows = "" if growth.bytes_per_day is None else f" and changes by {ByteCount(growth.bytes_per_day)} a day"
    sentence = f"The database has {size}{grows}; "
    if limit is None:
        return Finding("database_size", Level.GOOD, f"{sentence}no limit is known, DATABASE_SIZE_LIMIT is not set.")
    if growth.reached_on is None:
        sentence += f"there is no date on which it reaches its limit of {limit}: {growth.reason}."
    else:
        sentence += f"it reaches its limit of {limit} on {growth.reached_on}."
    left = None if growth.reached_on is None else growth.reached_on - today
    if size >= FULL_BAD * limit or (left is not None and left <= VERY_SOON):
        level = Level.BAD
    elif size >= FULL_WARNING * limit or (left is not None and left <= SOON):
        level = Level.WARNING
    else:
        level = Level.GOOD
    action = None if level is Level.GOOD else "license-server maintenance prune --dry-run"
    return Finding("database_size", level, sentence, action)


def compare_statements(earlier: Sequence[StatementCost], later: Sequence[StatementCost]) -> list[StatementChange]:
    """What was called between two samples, the costliest first.

    A statement whose numbers fell had its statistics reset meanwhile: all that it has now is new.
    """
    before = {one.query_id: one for one in earlier}
    changes = [_change(before.get(one.query_id), one) for one in later]
    called = [one for one in changes if one.calls > 0]
    return sorted(called, key=lambda one: (-one.total_milliseconds, one.query_id))


def _change(earlier: StatementCost | None, later: StatementCost) -> StatementChange:
    mean_before = earlier.total_milliseconds / earlier.calls if earlier is not None and earlier.calls > 0 else None
    is_continued = (
        earlier is not None and later.calls >= earlier.calls and later.total_milliseconds >= earlier.total_milliseconds
    )
    calls, total = later.calls, later.total_milliseconds
    if earlier is not None and is_continued:
        calls, total = calls - earlier.calls, total - earlier.total_milliseconds
    mean = total / calls if calls > 0 else 0.0
    return StatementChange(later.query_id, later.query, calls, total, mean, mean_before)


def _slope(points: Sequence[tuple[int, int]]) -> float:
    """By how much the second number grows with the first one; the first ones differ."""
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread
