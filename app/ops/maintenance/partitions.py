"""A partition for each day of validation events, made ahead of time; a missing one stops no validation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from app.db.direct import DirectConnection
from app.db.queries import validation_partitions as partitions
from app.domain.retention import TableBusy, start_of

LOCK_NAME = "validation partitions"
DAYS_AHEAD = 14
LARGE_DEFAULT_BYTES = 16 * 1024 * 1024
"""So much is read in some hundredths of a second, while validations wait; more must not be."""
CLOCKS_DIFFER = timedelta(minutes=10)
"""Rows of a day may arrive as long before its beginning and after its end: clocks differ, and some trips are slow."""


@dataclass(slots=True)
class Arranged:
    """Days that got their partition, how many rows were moved there, and days that must wait, with the reason."""

    days: list[date] = field(default_factory=list)
    rows: int = 0
    postponed: dict[date, str] = field(default_factory=dict)


async def arrange(
    direct: DirectConnection, *, now: datetime, large_default_bytes: int = LARGE_DEFAULT_BYTES
) -> Arranged:
    """Give today, fourteen days ahead and every day of which the default partition has rows a partition.

    Raises NotOwner. Each day is a transaction of its own; while another session is at it, nothing is done.
    All need the same locks: when one day does not get them, the others do not wait for them, too.
    """
    arranged = Arranged()
    if not await direct.try_hold(LOCK_NAME):
        return arranged
    await partitions.remove_guards(direct)
    busy: str | None = None
    there = {partition.day for partition in await partitions.list_partitions(direct)}
    for day in [*await partitions.list_days_in_default(direct, _start_of_today(now)), *_days_ahead(now)]:
        if day in there:
            continue
        if busy is not None:
            arranged.postponed[day] = busy
            continue
        is_large = await partitions.default_bytes(direct) > large_default_bytes
        if is_large and _may_get_rows(day, now):
            arranged.postponed[day] = "the default partition is large, and gets rows of this day at the moment"
            continue
        try:
            arranged.rows += await partitions.make_partition(direct, day, is_guarded=is_large)
            arranged.days.append(day)
        except TableBusy as error:
            arranged.postponed[day] = busy = str(error)
    return arranged


def _days_ahead(now: datetime) -> Iterator[date]:
    for days in range(DAYS_AHEAD + 1):
        yield (now + timedelta(days=days)).date()


def _start_of_today(now: datetime) -> datetime:
    return start_of(now.date())


def _may_get_rows(day: date, now: datetime) -> bool:
    return start_of(day) - CLOCKS_DIFFER <= now < start_of(day) + timedelta(days=1) + CLOCKS_DIFFER
