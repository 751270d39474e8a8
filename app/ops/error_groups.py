"""Errors of the last seconds, counted in memory until a job stores them; a flood never makes it grow."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from app.db.queries import error_groups
from app.db.session import Session
from app.domain.error_groups import (
    MAX_GROUPS_AN_HOUR,
    ErrorCounts,
    ErrorKey,
    ErrorSummary,
    Occurrences,
    add,
    fold,
    others,
)
from app.domain.security import Window
from app.telemetry.error_marks import ErrorMark


class ErrorTally:
    """Counts error lines, whatever thread writes them, by hour, event, type of exception and place in the code.

    Beyond `max_groups` different ones are counted together by the hour, and beyond twice as many (the database was
    away for days) nothing more is kept here: the log has it.
    """

    def __init__(self, clock: Callable[[], datetime], *, max_groups: int = MAX_GROUPS_AN_HOUR) -> None:
        self._clock = clock
        self._max_groups = max_groups
        self._lock = threading.Lock()
        self._counts: ErrorCounts = {}

    def add(self, mark: ErrorMark) -> None:
        """Count one line."""
        now = self._clock()
        key = ErrorKey(now.replace(minute=0, second=0, microsecond=0), *mark)
        self._count(key, Occurrences(1, now, now))

    def take(self) -> ErrorCounts:
        """Everything counted since the last time; it is the taker's now."""
        with self._lock:
            taken, self._counts = self._counts, {}
        return taken

    def give_back(self, counts: ErrorCounts) -> None:
        """Count again what could not be stored."""
        for key, seen in counts.items():
            self._count(key, seen)

    def _count(self, key: ErrorKey, seen: Occurrences) -> None:
        with self._lock:
            for allowed, coarser in ((self._max_groups, key), (2 * self._max_groups, others(key.hour))):
                if coarser in self._counts or len(self._counts) < allowed:
                    add(self._counts, coarser, seen)
                    return


async def store(tx: Session, counts: ErrorCounts) -> None:
    """Add the counts to those of all servers; of an hour at most two hundred groups are kept apart."""
    known = await error_groups.list_known(tx, {key.hour for key in counts})
    await error_groups.add_counts(tx, fold(counts, known))


async def summarize(tx: Session, window: Window) -> ErrorSummary:
    """Add up a window."""
    return await error_groups.sum_groups(tx, window)


async def forget(tx: Session, before: datetime, *, limit: int) -> int:
    """Delete up to so many counts that are older; how many they were."""
    return await error_groups.delete_groups(tx, before, limit=limit)
