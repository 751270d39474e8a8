"""What tables hold: rows and checksums, a piece of a table at a time, all in one snapshot."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum

from psycopg import IsolationLevel, sql
from psycopg import errors as pg

from app.db.direct import DirectConnection

PIECE_PAGES = 2048
"""16 MiB of a table: what is looked at between two pauses."""

# A snapshot must not end because nobody asks for a while; nothing is locked by it but what is read.
_OPEN = sql.SQL("SET LOCAL idle_in_transaction_session_timeout = 0")
_EXPORT = sql.SQL("SELECT pg_export_snapshot()")
# What belongs to an extension is not in a dump.
_DUMPED = (
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    r" WHERE c.relpersistence <> 't' AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'"
    " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass"
    " AND d.deptype = 'e')"
)
# Partitioned tables hold nothing themselves, and materialized views are made anew by a restore.
_LIST = sql.SQL(
    "SELECT format('%I.%I', n.nspname, c.relname), pg_relation_size(c.oid) / current_setting('block_size')::int"
    + _DUMPED
    + " AND c.relkind = 'r' ORDER BY 1"
)
# The size of a table that somebody has locked has to be waited for, so names come without sizes.
_LIST_NAMES = sql.SQL("SELECT format('%I.%I', n.nspname, c.relname)" + _DUMPED + " AND c.relkind = 'r' ORDER BY 1")
_LIST_UNREADABLE = sql.SQL(
    "SELECT format('%I.%I', n.nspname, c.relname)" + _DUMPED + " AND c.relkind IN ('r', 'p', 'S')"
    " AND NOT (has_schema_privilege(n.oid, 'USAGE') AND CASE c.relkind"
    " WHEN 'S' THEN has_sequence_privilege(c.oid, 'SELECT') ELSE has_table_privilege(c.oid, 'SELECT') END)"
    " ORDER BY 1"
)
_WHO = sql.SQL("SELECT quote_ident(current_user)")
_LOCK = "LOCK TABLE ONLY {table} IN ACCESS SHARE MODE"
# Rows are hashed as text, whose form roles and databases may have settings for.
_FIX_FORMATS = sql.SQL(
    "SELECT set_config('DateStyle', 'ISO, YMD', false), set_config('IntervalStyle', 'postgres', false),"
    " set_config('extra_float_digits', '1', false), set_config('bytea_output', 'hex', false),"
    " set_config('TimeZone', 'UTC', false)"
)
# Whatever the order of the rows: hashes are the same on every version since hash partitions rely on them.
_READ_PIECE = (
    "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)"
    " FROM ONLY {table} AS t WHERE ctid >= format('(%s,0)', {since}::bigint)::tid"
    " AND ctid < format('(%s,0)', {until}::bigint)::tid"
)
_SCHEMA_HEAD = sql.SQL("SELECT version_num FROM public.alembic_version")
_SIZE = sql.SQL("SELECT pg_database_size(current_database()), current_database()")


class Lock(StrEnum):
    """What came of locking a table; the transaction has failed unless it is held."""

    HELD = "held"
    BUSY = "busy"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table by its quoted name, and how many pages it has."""

    name: str
    pages: int


@dataclass(slots=True)
class Content:
    """What was found in pieces of a table so far; the sum of hashes is kept to 64 bits."""

    rows: int = 0
    sum: int = 0

    @property
    def checksum(self) -> str:
        """The sum in hex."""
        return f"{self.sum % 2**64:016x}"


@asynccontextmanager
async def snapshot(direct: DirectConnection) -> AsyncIterator[str]:
    """A transaction in which nothing changes; other sessions see the same by the name that it yields."""
    await direct.connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
    await direct.connection.set_read_only(True)
    try:
        async with direct.connection.transaction():
            await direct.execute(_OPEN)
            [(name,)] = await direct.execute(_EXPORT)
            yield name
    finally:
        if direct.is_open:
            await direct.connection.set_isolation_level(None)
            await direct.connection.set_read_only(None)


async def list_tables(direct: DirectConnection) -> Sequence[TableSize]:
    """Every table that holds rows of its own and is in a dump, by its quoted name."""
    return [TableSize(name, pages) for name, pages in await direct.execute(_LIST)]


async def list_names(direct: DirectConnection) -> Sequence[str]:
    """The quoted names of the same tables; waits for nobody."""
    return [name for (name,) in await direct.execute(_LIST_NAMES)]


async def list_unreadable(direct: DirectConnection) -> Sequence[str]:
    """Tables and sequences that are in a dump and that this session may not read, by their quoted names."""
    return [name for (name,) in await direct.execute(_LIST_UNREADABLE)]


async def read_role(direct: DirectConnection) -> str:
    """The quoted name of the session's role."""
    [(name,)] = await direct.execute(_WHO)
    return str(name)


async def lock_table(direct: DirectConnection, name: str) -> Lock:
    """Nobody drops or rewrites the table of this quoted name until the transaction ends; rows change as before."""
    try:
        await direct.execute(sql.SQL(_LOCK).format(table=sql.SQL(name)))  # quoted by the server
    except (pg.LockNotAvailable, pg.DeadlockDetected):
        return Lock.BUSY
    except (pg.UndefinedTable, pg.InvalidSchemaName):
        return Lock.GONE
    return Lock.HELD


async def fix_formats(direct: DirectConnection) -> None:
    """From now on the session writes values as text in one form, whatever the settings of its role and database."""
    await direct.execute(_FIX_FORMATS)


async def add_piece(direct: DirectConnection, table: TableSize, since: int, content: Content) -> None:
    """Add what is in the pages from `since` on, PIECE_PAGES of them."""
    query = sql.SQL(_READ_PIECE).format(
        table=sql.SQL(table.name),  # quoted by the server
        since=sql.Literal(since),
        until=sql.Literal(since + PIECE_PAGES),
    )
    [(rows, added)] = await direct.execute(query)
    content.rows += rows
    content.sum += int(added)


async def read_schema_head(direct: DirectConnection) -> str:
    """The revision of the schema."""
    [(revision,)] = await direct.execute(_SCHEMA_HEAD)
    return str(revision)


async def read_size(direct: DirectConnection) -> tuple[int, str]:
    """The bytes of the database, and its name."""
    [(size, name)] = await direct.execute(_SIZE)
    return size, name
