"""What the database is like, over HTTP: one question, one route."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from app.domain.diagnostics.answers import DEFAULT_ITEMS, MAX_ITEMS
from app.domain.findings import worst
from app.ops.diagnostics import (
    bloat,
    connections,
    foreign_keys,
    indexes,
    invalid_objects,
    locks,
    replication,
    sequences,
    statements,
    tables,
    transactions,
    vacuum,
    wraparound,
)
from app.ops.diagnostics.examination import examine
from app.web.deps import Now, Runtime
from app.web.schemas.diagnostics import (
    AnswerOut,
    BloatOut,
    ConnectionsOut,
    DuplicateIndexOut,
    IndexUseOut,
    InvalidObjectOut,
    LockedSessionOut,
    OpenTransactionOut,
    OverviewOut,
    ReplicationOut,
    SequenceUseOut,
    SlowStatementOut,
    TableOut,
    UnindexedForeignKeyOut,
    UnusedIndexesOut,
    VacuumHealthOut,
    WraparoundAgeOut,
    overview_of,
)
from app.web.security import Administration, CanReadOperations

router = APIRouter(prefix="/admin/database", tags=["administration"], dependencies=[Administration])

Limit = Annotated[int, Query(ge=1, le=MAX_ITEMS, description="How many items at most.")]
EachPartition = Annotated[
    bool, Query(alias="partitions", description="Each partition by itself, instead of within its parent.")
]
Exact = Annotated[bool, Query(description="Measure the largest ones with pgstattuple, instead of an estimate.")]


@router.get("/overview")
async def show_database_overview(caller: CanReadOperations, runtime: Runtime, now: Now) -> OverviewOut:
    """Examine the database: what is good, what should be looked at, and the command that mends it."""
    findings = await examine(runtime.database, now=now)
    return overview_of(findings, worst(findings), now)


@router.get("/connections")
async def show_connections(caller: CanReadOperations, runtime: Runtime, limit: Limit = DEFAULT_ITEMS) -> ConnectionsOut:
    """Show the pool, and sessions by application and state."""
    return ConnectionsOut.model_validate(await connections.look(runtime.database, limit=limit))


@router.get("/slow-queries")
async def show_slow_queries(
    caller: CanReadOperations, runtime: Runtime, limit: Limit = DEFAULT_ITEMS
) -> AnswerOut[SlowStatementOut]:
    """Show the statements that cost most altogether."""
    return AnswerOut[SlowStatementOut].model_validate(await statements.look(runtime.database, limit=limit))


@router.get("/tables")
async def show_tables(
    caller: CanReadOperations,
    runtime: Runtime,
    now: Now,
    each_partition: EachPartition = False,
    limit: Limit = DEFAULT_ITEMS,
) -> AnswerOut[TableOut]:
    """Show tables by size, with their growth."""
    return AnswerOut[TableOut].model_validate(
        await tables.look(runtime.database, today=now.date(), each_partition=each_partition, limit=limit)
    )


@router.get("/indexes")
async def show_indexes(
    caller: CanReadOperations, runtime: Runtime, limit: Limit = DEFAULT_ITEMS
) -> AnswerOut[IndexUseOut]:
    """Show how indexes are used."""
    return AnswerOut[IndexUseOut].model_validate(await indexes.look(runtime.database, limit=limit))


@router.get("/unused-indexes")
async def show_unused_indexes(
    caller: CanReadOperations, runtime: Runtime, now: Now, limit: Limit = DEFAULT_ITEMS
) -> UnusedIndexesOut:
    """Show indexes that nobody reads."""
    return UnusedIndexesOut.model_validate(await indexes.look_for_unused(runtime.database, now=now, limit=limit))


@router.get("/duplicate-indexes")
async def show_duplicate_indexes(
    caller: CanReadOperations, runtime: Runtime, limit: Limit = DEFAULT_ITEMS
) -> AnswerOut[DuplicateIndexOut]:
    """Show indexes that another one makes superfluous."""
    return AnswerOut[DuplicateIndexOut].model_validate(await indexes.look_for_duplicates(runtime.database, limit=limit))


@router.get("/bloat")
async def show_bloat(
    caller: CanReadOperations, runtime: Runtime, exact: Exact = False, limit: Limit = DEFAULT_ITEMS
) -> AnswerOut[BloatOut]:
    """Show the room in tables and indexes that holds nothing."""
    look = bloat.measure if exact else bloat.look
    return AnswerOut[BloatOut].model_validate(await look(runtime.database, limit=limit))


@router.get("/locks")
async def show_locks(
    caller: CanReadOperations, runtime: Runtime, limit: Limit = DEFAULT_ITEMS
) -> AnswerOut[LockedSessionOut]:
    """Show who waits for whom."""
    return AnswerOut[LockedSessionOut].model_validate(await locks.look(runtime.database, limit=limit))


@router.get("/transactions")
async def show_transactions(
    caller: CanReadOperations, runtime: Runtime, limit: Limit = DEFAULT_ITEMS
) -> AnswerOut[OpenTransactionOut]:
    """Show open transactions, the oldest first."""
    return AnswerOut[OpenTransactionOut].model_validate(await transactions.look(runtime.database, limit=limit))


@router.get("/wraparound")
async def show_wraparound(
    caller: CanReadOperations, runtime: Runtime, limit: Limit = DEFAULT_ITEMS
) -> AnswerOut[WraparoundAgeOut]:
    """Show how near the end of transaction ids is."""
    return AnswerOut[WraparoundAgeOut].model_validate(await wraparound.look(runtime.database, limit=limit))


@router.get("/sequences")
async def show_sequences(
    caller: CanReadOperations, runtime: Runtime, limit: Limit = DEFAULT_ITEMS
) -> AnswerOut[SequenceUseOut]:
    """Show how much of their numbers sequences have used."""
    return AnswerOut[SequenceUseOut].model_validate(await sequences.look(runtime.database, limit=limit))


@router.get("/invalid-objects")
async def show_invalid_objects(
    caller: CanReadOperations, runtime: Runtime, limit: Limit = DEFAULT_ITEMS
) -> AnswerOut[InvalidObjectOut]:
    """Show indexes and constraints that are not valid."""
    return AnswerOut[InvalidObjectOut].model_validate(await invalid_objects.look(runtime.database, limit=limit))


@router.get("/foreign-keys")
async def show_foreign_keys(
    caller: CanReadOperations, runtime: Runtime, limit: Limit = DEFAULT_ITEMS
) -> AnswerOut[UnindexedForeignKeyOut]:
    """Show foreign keys without an index."""
    return AnswerOut[UnindexedForeignKeyOut].model_validate(await foreign_keys.look(runtime.database, limit=limit))


@router.get("/vacuum")
async def show_vacuum_health(
    caller: CanReadOperations, runtime: Runtime, limit: Limit = DEFAULT_ITEMS
) -> VacuumHealthOut:
    """Show whether autovacuum keeps up."""
    return VacuumHealthOut.model_validate(await vacuum.look(runtime.database, limit=limit))


@router.get("/replication")
async def show_replication(caller: CanReadOperations, runtime: Runtime, limit: Limit = DEFAULT_ITEMS) -> ReplicationOut:
    """Show standbys, slots, archiving and the size of the log."""
    return ReplicationOut.model_validate(await replication.look(runtime.database, limit=limit))
