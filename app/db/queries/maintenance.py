"""Statements of maintenance, on a session of their own; what stands in their way is a Hurdle, not an exception."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import errors as pg
from psycopg import sql

from app.db.direct import LOCK_SECONDS, DirectConnection, Query
from app.db.session import Session, driver_connection
from app.db.sql import read_sql
from app.domain.errors import DatabaseUnavailable
from app.domain.relations import RelationKind, RelationName
from app.domain.upkeep import Hurdle, HurdleKind, IndexFacts, Step, TableFacts

FACTS_SECONDS = 30.0
FACTS_TRIES = 3
REBUILD_SECONDS = 3600.0
TEND_SECONDS = 24 * 3600.0
REBUILD_LOCK_SECONDS = 12.0
"""How long a rebuild, whose waiting blocks nobody, waits for transactions that began before: ours take 10 s at most."""
DROP_LOCK_SECONDS = 2.0
CODES_BY_KIND = {RelationKind.TABLE: ["r", "m", "p"], RelationKind.INDEX: ["i", "I"]}

_TABLE_FACTS = sql.SQL(read_sql("table_facts"))
_INDEX_FACTS = sql.SQL(read_sql("index_facts"))
_FIND_RELATIONS = read_sql("find_relations")
_STATEMENT_ACTIVITY = read_sql("statement_activity")
# The option and the setting came with the same version, and the setting can be looked for.
_DESCRIBE_SERVER = sql.SQL(
    "SELECT EXISTS (SELECT FROM pg_settings WHERE name = 'vacuum_buffer_usage_limit'), "
    "EXISTS (SELECT FROM pg_roles WHERE rolname = 'pg_maintain'), quote_ident(current_user)"
)
_ANALYZE_ONLY_VERSION = 180000
_CLOSED_SCHEMA = sql.SQL(
    "SELECT quote_ident(nspname) FROM pg_namespace WHERE nspname = %s AND NOT has_schema_privilege(oid, 'USAGE')"
)


@dataclass(frozen=True, slots=True)
class Server:
    """What the server understands, and as whom we work there; the role is quoted."""

    has_database_stats_options: bool
    has_maintain: bool
    has_analyze_only: bool
    role: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of a statement: what stood in its way, if anything, and the warnings that the server gave."""

    hurdle: Hurdle | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Activity:
    """How far a statement is, as the progress view of this name tells, and the sessions that block it."""

    view: str | None
    progress: dict[str, Any]
    blockers: tuple[dict[str, Any], ...]


async def describe_server(direct: DirectConnection) -> Server:
    """What the server understands, and as whom we work there."""
    [(has_options, has_maintain, role)] = await direct.execute(_DESCRIBE_SERVER)
    return Server(has_options, has_maintain, direct.connection.info.server_version >= _ANALYZE_ONLY_VERSION, role)


async def find_closed_schema(direct: DirectConnection, name: str) -> str | None:
    """The schema, quoted, when our role may not use what is in it."""
    rows = await direct.execute(_CLOSED_SCHEMA, [name])
    return next((quoted for (quoted,) in rows), None)


async def find_relations(
    tx: Session, names: Sequence[tuple[RelationName, ...]], kind: RelationKind
) -> list[int | None]:
    """The oid of each table or index, by the likeliest of its names that exists."""
    return await _find(await driver_connection(tx), names, kind)


async def find_relations_directly(
    direct: DirectConnection, names: Sequence[tuple[RelationName, ...]], kind: RelationKind
) -> list[int | None]:
    """The same on a session of maintenance."""
    async with direct.limits(statement_seconds=FACTS_SECONDS):
        return await _find(direct.connection, names, kind)


async def list_tables(direct: DirectConnection, oids: Sequence[int] | None) -> list[TableFacts]:
    """The facts of these tables and their partitions, or of all; never of system catalogs."""
    rows = await _read_facts(direct, _TABLE_FACTS, {"oids": None if oids is None else list(oids)})
    return [TableFacts(*row) for row in rows]


async def find_table(direct: DirectConnection, oid: int) -> TableFacts | None:
    """The facts of a table, None when it is gone."""
    return next((table for table in await list_tables(direct, [oid]) if table.oid == oid), None)


async def list_indexes(
    direct: DirectConnection, *, table_oids: Sequence[int] | None = None, index_oids: Sequence[int] | None = None
) -> list[IndexFacts]:
    """The facts of these indexes and of those of these tables, of partitions too; of all when neither is given."""
    parameters = {
        "table_oids": None if table_oids is None else list(table_oids),
        "index_oids": None if index_oids is None else list(index_oids),
    }
    return [IndexFacts(*row) for row in await _read_facts(direct, _INDEX_FACTS, parameters)]


async def find_activity(tx: Session, pid: int) -> Activity:
    """How far the statement of this session is, and who blocks it."""
    cursor = await (await driver_connection(tx)).execute(_STATEMENT_ACTIVITY, {"pid": pid})
    view, progress, blockers = None, {}, []
    for name, document in await cursor.fetchall():
        if name == "blocker":
            blockers.append(document)
        else:
            view, progress = name, document
    return Activity(view, progress, tuple(blockers))


async def tend_table(direct: DirectConnection, server: Server, table: TableFacts, step: Step) -> Attempt:
    """VACUUM (with FREEZE if that is due) or ANALYZE of a table; within a day, and a lock is waited for 3 s."""
    name = sql.Identifier(table.schema, table.name)
    if step is Step.ANALYZE:
        is_parent_enough = table.is_partitioned and server.has_analyze_only
        return await _attempt(direct, sql.SQL("ANALYZE ONLY {}" if is_parent_enough else "ANALYZE {}").format(name))
    options: list[LiteralString] = ["ANALYZE"]
    if step is Step.FREEZE:
        options.append("FREEZE")
    if server.has_database_stats_options:
        options.append("SKIP_DATABASE_STATS")
    listed = sql.SQL(", ").join(sql.SQL(option) for option in options)
    return await _attempt(direct, sql.SQL("VACUUM ({}) {}").format(listed, name))


async def update_database_stats(direct: DirectConnection) -> Attempt:
    """What the VACUUM of each table left out: the age of the whole database."""
    return await _attempt(direct, sql.SQL("VACUUM (ONLY_DATABASE_STATS)"))


async def rebuild_index(direct: DirectConnection, index: IndexFacts) -> Attempt:
    """REINDEX CONCURRENTLY within an hour; that its table is locked out shows within 3 s, before anything is built."""
    try:
        async with direct.limits(), direct.connection.transaction():
            table = sql.Identifier(index.table_schema, index.table_name)
            await direct.execute(sql.SQL("LOCK TABLE ONLY {} IN SHARE UPDATE EXCLUSIVE MODE").format(table))
    except (pg.LockNotAvailable, pg.DeadlockDetected) as error:
        return Attempt(_hurdle(error))
    except (pg.InsufficientPrivilege, pg.WrongObjectType, pg.UndefinedTable):
        pass  # a materialized view can't be locked so; the rest is what REINDEX itself will say
    statement = sql.SQL("REINDEX INDEX CONCURRENTLY {}").format(sql.Identifier(index.schema, index.name))
    return await _attempt(direct, statement, lock_seconds=REBUILD_LOCK_SECONDS, statement_seconds=REBUILD_SECONDS)


async def drop_index(direct: DirectConnection, index: IndexFacts) -> Attempt:
    """DROP INDEX CONCURRENTLY; a lock is waited for 2 s."""
    statement = sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(sql.Identifier(index.schema, index.name))
    return await _attempt(direct, statement, lock_seconds=DROP_LOCK_SECONDS, statement_seconds=FACTS_SECONDS)


async def _attempt(
    direct: DirectConnection,
    statement: Query,
    *,
    lock_seconds: float = LOCK_SECONDS,
    statement_seconds: float = TEND_SECONDS,
) -> Attempt:
    direct.take_notices()
    hurdle = None
    try:
        async with direct.limits(lock_seconds=lock_seconds, statement_seconds=statement_seconds):
            await direct.execute(statement)
    except psycopg.Error as error:
        if not direct.is_open or isinstance(error, pg.SyntaxError):
            raise
        hurdle = _hurdle(error)
    warnings = tuple(notice.message for notice in direct.take_notices() if notice.severity == "WARNING")
    return Attempt(hurdle, warnings)


def _hurdle(error: psycopg.Error) -> Hurdle:
    if isinstance(error, pg.LockNotAvailable):
        return Hurdle(HurdleKind.BUSY, "somebody had locked it")
    if isinstance(error, pg.DeadlockDetected):
        return Hurdle(HurdleKind.BUSY, "it came into a deadlock with another session")
    if isinstance(error, pg.UndefinedTable | pg.UndefinedObject | pg.InvalidSchemaName):
        return Hurdle(HurdleKind.VANISHED, "it is not there any more")
    if isinstance(error, pg.QueryCanceled):
        return Hurdle(HurdleKind.BROKEN, "it took too long, or somebody cancelled it at the database")
    said = error.diag.message_primary or type(error).__name__
    if isinstance(error, pg.InsufficientPrivilege):
        return Hurdle(HurdleKind.DENIED, said)
    return Hurdle(HurdleKind.BROKEN, f"{said} ({error.sqlstate})")


async def _read_facts(direct: DirectConnection, query: Query, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    for _ in range(FACTS_TRIES):
        try:
            async with direct.limits(statement_seconds=FACTS_SECONDS):
                return await direct.execute(query, parameters)
        except pg.LockNotAvailable:
            continue  # locked out between the look at the locks and the look at the size
    raise DatabaseUnavailable("Somebody locks tables out one after another; try again in a moment.")


async def _find(
    connection: psycopg.AsyncConnection, names: Sequence[tuple[RelationName, ...]], kind: RelationKind
) -> list[int | None]:
    candidates = [(place, one) for place, meant in enumerate(names) for one in meant]
    parameters = {
        "schemas": [one.schema for _, one in candidates],
        "names": [one.name for _, one in candidates],
        "kinds": CODES_BY_KIND[kind],
    }
    oids: dict[int, int] = dict(await (await connection.execute(_FIND_RELATIONS, parameters)).fetchall())
    found: list[int | None] = [None] * len(names)
    for number, (place, _) in enumerate(candidates):
        if found[place] is None:
            found[place] = oids.get(number)
    return found
