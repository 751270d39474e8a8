"""Answers about the database in JSON."""

from __future__ import annotations

from datetime import date
from typing import Generic, TypeVar

from app.domain.findings import Finding, Level
from app.web.schemas.base import Out, OutMoment
from app.web.schemas.findings import FindingOut

Item = TypeVar("Item")


class AnswerOut(Out, Generic[Item]):
    """What was seen, or why nobody can look (`reason`) and the command or SQL that changes it (`remedy`).

    `since` is when the statistics began, where that matters. An available answer with a reason is not complete.
    """

    status: str
    reason: str | None
    remedy: str | None
    since: OutMoment | None
    items: list[Item]


class OverviewOut(Out):
    """All findings, the worst first, and the level of the worst."""

    level: Level
    findings: list[FindingOut]
    examined_at: OutMoment


class SessionGroupOut(Out):
    """Sessions of one application in one state."""

    application: str
    state: str
    sessions: int
    longest_seconds: float | None


class OneSessionOut(Out):
    """One session at the database; its last statement without any literal."""

    pid: int
    user_name: str | None
    application: str
    client_address: str | None
    state: str | None
    state_since: OutMoment | None
    seconds: float | None
    waits_for: str | None
    statement: str | None


class PoolOut(Out):
    """The connections of the process that answers; the one that asks is in use."""

    size: int
    in_use: int
    idle: int


class CapacityOut(Out):
    """Connections of the whole database server."""

    used: int
    maximum: int
    reserved: int


class ConnectionsOut(AnswerOut[SessionGroupOut]):
    """Sessions of our database, the pool, and what the server has left."""

    pool: PoolOut | None
    capacity: CapacityOut | None
    longest: list[OneSessionOut]


class SlowStatementOut(Out):
    """A normalised statement and what it cost; `share` is its part of the time of all."""

    query_id: str
    statement: str
    calls: int
    total_milliseconds: float
    mean_milliseconds: float
    max_milliseconds: float | None
    rows: int
    share: float


class TableOut(Out):
    """A table; a partitioned one stands for its partitions, unless each is asked for."""

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
    last_vacuum_at: OutMoment | None
    last_analyze_at: OutMoment | None
    growth_bytes: int | None
    growth_bytes_per_day: float | None
    growth_since: date | None


class IndexUseOut(Out):
    """How often an index was read; `lastScanAt` from PostgreSQL 16 on."""

    schema_name: str
    table_name: str
    index_name: str
    method: str
    is_unique: bool
    is_valid: bool
    scans: int
    rows_read: int
    rows_fetched: int
    last_scan_at: OutMoment | None
    bytes: int


class UnusedIndexOut(Out):
    """An index that was never read, and that nothing but reading needs; `action` is null while it is too early."""

    schema_name: str
    table_name: str
    index_name: str
    bytes: int
    action: str | None


class UnusedIndexesOut(AnswerOut[UnusedIndexOut]):
    """Unused indexes; `isConclusive` tells whether they were watched for long enough, `evidence` for how long."""

    is_conclusive: bool
    evidence: str | None


class DuplicateIndexOut(Out):
    """An index and the one that does the same; `kind` is `duplicate` or `prefix`."""

    schema_name: str
    table_name: str
    index_name: str
    kind: str
    definition: str
    scans: int
    bytes: int
    covered_by: str
    covering_definition: str
    covering_scans: int
    action: str


class BloatOut(Out):
    """Room that holds nothing in a `table`, its `toast` or an `index`; null without statistics."""

    kind: str
    schema_name: str
    table_name: str
    name: str
    bytes: int
    bloat_bytes: int | None
    bloat_share: float | None
    method: str
    action: str


class LockedSessionOut(Out):
    """A session that waits or is waited for; whoever follows with a greater depth waits for it."""

    pid: int
    blocked_by: list[int]
    depth: int
    user_name: str | None
    application: str | None
    state: str | None
    waits_for: str | None
    waiting_since: OutMoment | None
    waiting_seconds: float | None
    transaction_since: OutMoment | None
    statement: str | None
    action: str | None


class OpenTransactionOut(Out):
    """An open transaction, of a session or prepared."""

    pid: int | None
    prepared_name: str | None
    user_name: str | None
    application: str | None
    state: str | None
    started_at: OutMoment
    seconds: float
    state_seconds: float | None
    held_back_xids: int | None
    statement: str | None
    action: str


class WraparoundAgeOut(Out):
    """The age of a `database` or `table`; `share` is its part of 2^31, at which writing ends."""

    kind: str
    schema_name: str | None
    name: str
    xid_age: int
    xid_freeze_max_age: int
    multixact_age: int
    multixact_freeze_max_age: int
    share: float
    is_ours: bool


class SequenceUseOut(Out):
    """A sequence and the last number that fits it and its column."""

    schema_name: str
    sequence_name: str
    column: str | None
    data_type: str
    last_value: int | None
    limit: int
    used_share: float | None
    is_cycle: bool


class InvalidObjectOut(Out):
    """An `index` or `constraint` that is not valid, or a `leftover` of a rebuild that failed."""

    kind: str
    schema_name: str
    name: str
    table_name: str
    definition: str
    bytes: int | None
    action: str


class UnindexedForeignKeyOut(Out):
    """A foreign key without an index on its side."""

    schema_name: str
    table_name: str
    constraint_name: str
    columns: list[str]
    table_bytes: int
    referenced_table: str
    referenced_bytes: int
    action: str


class TableVacuumOut(Out):
    """Dead rows against the number at which autovacuum begins; `share` 1 is that number."""

    schema_name: str
    table_name: str
    rows_estimate: int
    dead_rows: int
    vacuum_threshold: int
    share: float
    changes_since_analyze: int
    analyze_threshold: int
    is_autovacuum_on: bool
    last_vacuum_at: OutMoment | None
    last_autovacuum_at: OutMoment | None
    last_analyze_at: OutMoment | None
    last_autoanalyze_at: OutMoment | None


class RunningVacuumOut(Out):
    """A vacuum that is under way."""

    pid: int
    table: str | None
    phase: str | None
    percent: float | None
    is_autovacuum: bool | None


class VacuumHealthOut(AnswerOut[TableVacuumOut]):
    """Tables by how far they are past their threshold, and what is under way."""

    is_autovacuum_on: bool
    running: list[RunningVacuumOut]


class ReplicaOut(Out):
    """A `standby` and how far it is behind, or a `slot` and the log that is kept for it."""

    kind: str
    name: str
    client_address: str | None
    state: str | None
    is_active: bool
    behind_bytes: int | None
    lag_seconds: float | None


class ArchiverOut(Out):
    """What archiving the log did."""

    is_on: bool
    archived: int
    failed: int
    last_archived_at: OutMoment | None
    last_failed_at: OutMoment | None
    is_failing: bool


class ReplicationOut(AnswerOut[ReplicaOut]):
    """Standbys and slots, of which there may be none; archiving, and the size of the log."""

    is_standby: bool
    archiver: ArchiverOut | None
    wal_bytes: int | None


def overview_of(findings: list[Finding], level: Level, examined_at: OutMoment) -> OverviewOut:
    """An examination as it is answered."""
    found = [FindingOut.model_validate(one) for one in findings]
    return OverviewOut(level=level, findings=found, examined_at=examined_at)
