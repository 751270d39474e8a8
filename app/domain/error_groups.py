"""Errors that are alike, counted together by the hour: what they are recognised by, and which are looked at."""

from __future__ import annotations

import hashlib
from collections.abc import Set
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from app.domain.errors import Invalid
from app.domain.security import Window

ERRORS_KEPT = timedelta(days=90)
DEFAULT_WINDOW = timedelta(hours=24)
MAX_GROUPS_AN_HOUR = 200
TOP = 100


class ErrorKey(NamedTuple):
    """What errors are counted by: the line's event, the exception's type if there is one, the place in the code."""

    hour: datetime
    event: str
    exception: str | None
    place: str

    @property
    def fingerprint(self) -> str:
        """The same for errors that are alike, at any time and on every server."""
        text = "\\0".join((self.event, self.exception or "", self.place))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Occurrences:
    """How often something was seen, and when first and last."""

    count: int
    first_seen_at: datetime
    last_seen_at: datetime

    def plus(self, others: Occurrences) -> Occurrences:
        """Both together."""
        return Occurrences(
            self.count + others.count,
            min(self.first_seen_at, others.first_seen_at),
            max(self.last_seen_at, others.last_seen_at),
        )


ErrorCounts = dict[ErrorKey, Occurrences]


@dataclass(frozen=True, slots=True)
class DayCount:
    """How often on a day in UTC."""

    day: date
    count: int


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Errors that are alike."""

    fingerprint: str
    event: str
    exception: str | None
    place: str
    occurrences: Occurrences
    days: tuple[DayCount, ...]


@dataclass(frozen=True, slots=True)
class ErrorSummary:
    """The errors of a window: how many lines and groups there were, and the largest groups."""

    window: Window
    count: int
    group_count: int
    groups: tuple[ErrorGroup, ...]


def others(hour: datetime) -> ErrorKey:
    """What stands for all errors of an hour in which too many different ones were seen."""
    return ErrorKey(hour, "other_errors", None, "")


def fold(counts: ErrorCounts, known: Set[tuple[datetime, str]], limit: int = MAX_GROUPS_AN_HOUR) -> ErrorCounts:
    """The counts with at most so many groups an hour, the known ones (hour and fingerprint) included."""
    free = {hour: limit - sum(one == hour for one, _ in known) for hour in {key.hour for key in counts}}
    folded: ErrorCounts = {}
    for key, seen in counts.items():
        if (key.hour, key.fingerprint) in known:
            add(folded, key, seen)
        elif free[key.hour] > 0:
            free[key.hour] -= 1
            add(folded, key, seen)
        else:
            add(folded, others(key.hour), seen)
    return folded


def add(counts: ErrorCounts, key: ErrorKey, seen: Occurrences) -> None:
    """Count these, too."""
    counts[key] = counts[key].plus(seen) if key in counts else seen


def choose_window(since: datetime | None, until: datetime | None, now: datetime) -> Window:
    """The window that is asked for, a day when nothing is, made of whole hours; raises Invalid."""
    end = now if until is None else until
    beginning = end - DEFAULT_WINDOW if since is None else since
    if not timedelta() < end - beginning <= ERRORS_KEPT:
        raise Invalid("`since` must lie before `until`, by at most 90 days.")
    return Window(beginning.replace(minute=0, second=0, microsecond=0), end)
