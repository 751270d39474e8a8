"""Tables: what they hold, how much room they take, and how they grow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime

from app.domain.diagnostics.answers import Answer, name_of, unavailable
from app.domain.findings import Finding, Level
from app.domain.words import ByteCount

GROWTH_DAYS = 30

Samples = Mapping[str, list[tuple[date, int]]]
"""By `schema.table`: the bytes of each day, the oldest first."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table in bytes and rows; a partitioned one stands for its partitions, unless each is wanted.

    Growth is that since `growth_since`, at most thirty days ago: altogether, and on average a day.
    """

    schema_name: str
    table_name: str
    parent: str | None
    partitions: int
    rows_estimate: int
    dead_rows: int
    heap_bytes: int
    toast_bytes: int
    index_bytes: int
    total_bytes: int
    last_vacuum_at: datetime | None
    last_analyze_at: datetime | None
    growth_bytes: int | None = None
    growth_bytes_per_day: float | None = None
    growth_since: date | None = None

    @property
    def subject(self) -> str:
        """What samples of its size are kept under."""
        return f"{self.schema_name}.{self.table_name}"


def with_growth(table: Table, samples: Samples, today: date) -> Table:
    """The table with what it grew by, where there is a sample of another day."""
    return _grown(table, _oldest(table, samples), today)


def roll_up(tables: Iterable[Table], samples: Samples, today: date) -> list[Table]:
    """Each partition in its parent, which has the growth of its own samples or else that of its partitions'."""
    members: dict[str, list[Table]] = {}
    for table in tables:
        members.setdefault(table.parent or table.subject, []).append(table)
    return sorted(
        (_whole(name, own, samples, today) for name, own in members.items()), key=lambda one: -one.total_bytes
    )


def _whole(name: str, members: list[Table], samples: Samples, today: date) -> Table:
    root = next((one for one in members if one.subject == name), members[0])
    if len(members) == 1:
        return with_growth(root, samples, today)
    whole = replace(
        root,
        parent=None,
        partitions=sum(one.parent is not None for one in members),
        rows_estimate=sum(one.rows_estimate for one in members),
        dead_rows=sum(one.dead_rows for one in members),
        heap_bytes=sum(one.heap_bytes for one in members),
        toast_bytes=sum(one.toast_bytes for one in members),
        index_bytes=sum(one.index_bytes for one in members),
        total_bytes=sum(one.total_bytes for one in members),
        last_vacuum_at=max((one.last_vacuum_at for one in members if one.last_vacuum_at), default=None),
        last_analyze_at=max((one.last_analyze_at for one in members if one.last_analyze_at), default=None),
    )
    oldest = _oldest(whole, samples) or _summed(members, samples)
    return _grown(whole, oldest, today)


def _oldest(table: Table, samples: Samples) -> tuple[date, int] | None:
    found = samples.get(table.subject)
    return found[0] if found else None


def _summed(members: list[Table], samples: Samples) -> tuple[date, int] | None:
    """The oldest day on which any of them was sampled; one without a sample of that day was not there."""
    by_day: dict[date, int] = {}
    for one in members:
        for day, size in samples.get(one.subject, []):
            by_day[day] = by_day.get(day, 0) + size
    return min(by_day.items()) if by_day else None


def _grown(table: Table, oldest: tuple[date, int] | None, today: date) -> Table:
    if oldest is None or oldest[0] >= today:
        return table
    day, size = oldest
    growth = table.total_bytes - size
    return replace(table, growth_bytes=growth, growth_bytes_per_day=growth / (today - day).days, growth_since=day)


def judge(answer: Answer[Table]) -> list[Finding]:
    """What takes the most room; how much is too much is for the disk to say."""
    if not answer.items:
        return unavailable("tables", answer) or [Finding("tables", Level.GOOD, "There are no tables.")]
    largest = max(answer.items, key=lambda one: one.total_bytes)
    name, total = name_of(largest.schema_name, largest.table_name), sum(one.total_bytes for one in answer.items)
    sentence = f"The tables take {ByteCount(total)}, the largest, {name}, {ByteCount(largest.total_bytes)}."
    return [Finding("tables", Level.GOOD, sentence)]
