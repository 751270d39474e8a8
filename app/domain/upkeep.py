"""What tables and indexes need, judged by facts, and why: pure rules with their numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from app.domain.words import ByteCount

DEAD_ROWS = 50
DEAD_SHARE = 0.05
"""Dead rows from which a table is vacuumed: 50 and 5 % of the living; autovacuum waits for 20 %."""
INSERTED_ROWS = 1000
INSERTED_SHARE = 0.05
"""New rows since the last vacuum from which a table is vacuumed, so that its visibility map is fresh."""
UNSEEN_PAGES = 128
UNSEEN_SHARE = 0.2
"""Pages the visibility map does not vouch for: from 1 MiB and a fifth of the table on, index-only scans suffer."""
MODIFIED_ROWS = 50
MODIFIED_SHARE = 0.05
"""Changed rows since the last analyze from which the planner's statistics count as stale; autovacuum waits for 10 %."""
FREEZE_SHARE = 0.5
"""Share of the age at which autovacuum must freeze a table, from which it is frozen here, in a quiet hour of ours."""
PARTITIONS_LAG = timedelta(hours=1)
"""By this much a partition's analysis may be newer than the whole table's: before 18, ANALYZE goes on to partitions."""
BLOATED_SHARE = 0.3
BLOATED_BYTES = 1024 * 1024
"""An index is rebuilt when this share of it, and at least this much, is bloat."""
ROOM_FACTOR = 1.2
"""Room that a rebuild needs beside the old index, times its size."""


class Step(StrEnum):
    """What is done to a table or an index."""

    FREEZE = "freeze"
    VACUUM = "vacuum"
    ANALYZE = "analyze"
    REBUILD = "rebuild"


class Action(StrEnum):
    """What was done to a table or an index."""

    VACUUMED = "vacuumed"
    ANALYZED = "analyzed"
    REBUILT = "rebuilt"
    DROPPED = "dropped"
    SKIPPED = "skipped"
    FAILED = "failed"


ACTION_OF_STEP = {
    Step.FREEZE: Action.VACUUMED,
    Step.VACUUM: Action.VACUUMED,
    Step.ANALYZE: Action.ANALYZED,
    Step.REBUILD: Action.REBUILT,
}


class HurdleKind(StrEnum):
    """Why a statement did not do what it was to do."""

    BUSY = "busy"
    DENIED = "denied"
    VANISHED = "vanished"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Hurdle:
    """Why a statement did not do what it was to do, in one sentence without names; a busy one is worth another try."""

    kind: HurdleKind
    sentence: str


@dataclass(frozen=True, slots=True)
class TableFacts:
    """A table as the statistics see it; `title` is its quoted name with the schema.

    `bytes` is None while somebody locks it out. Of a partitioned table, rows are those of its partitions. `analyzed_at`
    is None when it never was, as far as the statistics go back; `vacuums` and `analyzes` count those done by hand.
    """

    oid: int
    schema: str
    name: str
    title: str
    is_partitioned: bool
    bytes: int | None
    pages: int
    all_visible_pages: int
    live_rows: int
    dead_rows: int
    toast_live_rows: int
    toast_dead_rows: int
    inserted_rows: int
    modified_rows: int
    analyzed_at: datetime | None
    partitions_analyzed_at: datetime | None
    vacuums: int
    analyzes: int
    transaction_age: int
    transaction_limit: int
    multixact_age: int
    multixact_limit: int


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """An index; of a TOAST table's, the table is the one whose long values are kept there.

    `builder_pid` is the session that builds it right now; `bytes` is None while somebody locks it out.
    """

    oid: int
    schema: str
    name: str
    title: str
    table_oid: int
    table_schema: str
    table_name: str
    table_title: str
    method: str
    is_valid: bool
    is_exclusion: bool
    is_toast: bool
    is_leftover: bool
    builder_pid: int | None
    bytes: int | None
    pages: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done, None for nothing, and why, with the numbers."""

    step: Step | None
    reason: str


def judge_vacuum(table: TableFacts, *, is_forced: bool) -> Verdict:
    """What a vacuum does to this table: vacuum and analyze, analyze alone, or nothing."""
    if table.is_partitioned:
        return judge_analyze(table, is_forced=is_forced)
    reason = _why_freeze(table)
    if reason:
        return Verdict(Step.FREEZE, reason)
    reason = _why_vacuum(table)
    if reason:
        return Verdict(Step.VACUUM, reason)
    if is_forced:
        return Verdict(Step.VACUUM, "It was asked for, whatever the statistics say.")
    analyze = judge_analyze(table, is_forced=False)
    if analyze.step is not None:
        return analyze
    dead = f"{table.dead_rows:,} dead rows (vacuumed from {_dead_limit(table.live_rows):,} on)"
    return Verdict(None, f"Nothing to do: {dead}, {_few_changes(table)}.")


def judge_analyze(table: TableFacts, *, is_forced: bool) -> Verdict:
    """Whether the planner's statistics of this table are to be brought up to date."""
    if is_forced:
        return Verdict(Step.ANALYZE, "It was asked for, whatever the statistics say.")
    has_rows = table.live_rows > 0 or table.pages > 0
    if table.analyzed_at is None and has_rows:
        return Verdict(Step.ANALYZE, f"It was never analyzed, and has {table.live_rows:,} rows.")
    if table.modified_rows >= _modified_limit(table):
        changed = f"{table.modified_rows:,} rows were changed since it was analyzed"
        return Verdict(Step.ANALYZE, f"{changed} (stale from {_modified_limit(table):,}).")
    newest = table.partitions_analyzed_at
    if table.analyzed_at is not None and newest is not None and newest > table.analyzed_at + PARTITIONS_LAG:
        return Verdict(Step.ANALYZE, "A partition was analyzed after the table that it belongs to.")
    return Verdict(None, f"Nothing to do: {_few_changes(table)}.")


def judge_index(index: IndexFacts, bloat: float | None, *, is_exact: bool, is_forced: bool) -> Verdict:
    """Whether an index is to be rebuilt; `bloat` is its share from 0 to 1, None when nobody can tell."""
    if index.builder_pid is not None:
        return Verdict(None, f"The session {index.builder_pid} builds it right now.")
    if index.is_exclusion:
        return Verdict(
            None, "It serves an exclusion constraint: PostgreSQL rebuilds those only with everybody locked out."
        )
    if not index.is_valid:
        return Verdict(
            Step.REBUILD, "It was invalid: the statement that built it has failed, and no query could use it."
        )
    if is_forced:
        return Verdict(Step.REBUILD, "It was asked for, whatever its bloat.")
    if index.bytes is None:
        return Verdict(None, "Somebody locks it out, so that nobody can tell its size.")
    if bloat is None:
        return Verdict(None, f"Its bloat is unknown, because {_blind_spot(index)}; only `force` rebuilds it.")
    found = f"{'' if is_exact else 'an estimated '}{bloat:.0%} of its {ByteCount(index.bytes)} is bloat"
    limits = f"from {BLOATED_SHARE:.0%} and {ByteCount(BLOATED_BYTES)} on"
    if bloat >= BLOATED_SHARE and bloat * index.bytes >= BLOATED_BYTES:
        return Verdict(Step.REBUILD, f"{found[0].upper()}{found[1:]} (rebuilt {limits}).")
    return Verdict(None, f"Nothing to do: {found} (rebuilt {limits}).")


def is_worth_measuring(index: IndexFacts) -> bool:
    """Whether an index is a B-tree, usable, and large enough that its bloat could matter."""
    is_large = index.bytes is not None and index.bytes >= BLOATED_BYTES
    return index.method == "btree" and index.is_valid and is_large


def has_room(free: int | None, size: int | None) -> bool:
    """Whether a copy of this many bytes has room; yes where nobody can tell."""
    return free is None or size is None or free >= ROOM_FACTOR * size


def keeps_dead_rows(table: TableFacts) -> bool:
    """Whether so many dead rows are left that a vacuum just now should have taken them."""
    return table.dead_rows >= _dead_limit(table.live_rows)


def _why_freeze(table: TableFacts) -> str | None:
    for age, limit, noun in (
        (table.transaction_age, table.transaction_limit, "transactions"),
        (table.multixact_age, table.multixact_limit, "multixacts"),
    ):
        if age >= FREEZE_SHARE * limit:
            return f"Its oldest row is {age:,} {noun} old; at {limit:,} autovacuum must freeze it, whatever the load."
    return None


def _why_vacuum(table: TableFacts) -> str | None:
    for dead, live, where in (
        (table.dead_rows, table.live_rows, ""),
        (table.toast_dead_rows, table.toast_live_rows, " of its TOAST table"),
    ):
        if dead >= _dead_limit(live):
            return f"{dead:,} of {dead + live:,} rows{where} are dead (vacuumed from {_dead_limit(live):,})."
    if table.inserted_rows >= (limit := INSERTED_ROWS + round(INSERTED_SHARE * table.live_rows)):
        return f"{table.inserted_rows:,} rows came since it was vacuumed (visibility map stale from {limit:,})."
    unseen = table.pages - table.all_visible_pages
    if unseen >= UNSEEN_PAGES and unseen >= UNSEEN_SHARE * table.pages:
        return f"The visibility map vouches for {table.all_visible_pages:,} of {table.pages:,} pages only."
    return None


def _dead_limit(live_rows: int) -> int:
    return DEAD_ROWS + round(DEAD_SHARE * live_rows)


def _modified_limit(table: TableFacts) -> int:
    return MODIFIED_ROWS + round(MODIFIED_SHARE * table.live_rows)


def _few_changes(table: TableFacts) -> str:
    return f"{table.modified_rows:,} rows changed since it was analyzed (analyzed from {_modified_limit(table):,} on)"


def _blind_spot(index: IndexFacts) -> str:
    if index.method != "btree":
        return f"it is of the kind {index.method}"
    return "it was neither vacuumed nor analyzed yet, or its statistics may not be read"
