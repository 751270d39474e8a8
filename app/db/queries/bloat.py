"""Queries that tell the bloat of indexes, on a session of their own."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg import errors as pg
from psycopg import sql

from app.db.direct import DirectConnection
from app.db.sql import read_sql
from app.domain.bloat import IndexPages, LeafPages

FACTS_SECONDS = 30.0
MEASURE_SECONDS = 120.0

_BLOAT_INDEXES = sql.SQL(read_sql("bloat_indexes"))
_FIND_EXTENSION = sql.SQL(
    "SELECT nspname FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace "
    "WHERE extname = 'pgstattuple'"
)
_MEASURE_INDEX = sql.SQL(
    "SELECT index_size, leaf_pages, avg_leaf_density, "
    "coalesce((SELECT option_value::int FROM pg_options_to_table(reloptions) WHERE option_name = 'fillfactor'), 90) "
    "FROM pg_class CROSS JOIN LATERAL {}.pgstatindex(pg_class.oid::regclass) WHERE pg_class.oid = %(oid)s"
)


async def list_index_pages(direct: DirectConnection, oids: Sequence[int]) -> dict[int, IndexPages]:
    """What the bloat of these B-trees is estimated by, without those of which too little is known."""
    async with direct.limits(statement_seconds=FACTS_SECONDS):
        rows = await direct.execute(_BLOAT_INDEXES, {"oids": list(oids)})
    return {oid: IndexPages(pages, count, fill, width) for oid, pages, count, fill, width in rows if width is not None}


async def find_pgstattuple(direct: DirectConnection) -> str | None:
    """The schema of the extension pgstattuple, if it is there."""
    rows = await direct.execute(_FIND_EXTENSION)
    return rows[0][0] if rows else None


async def measure_index(direct: DirectConnection, extension_schema: str, oid: int) -> LeafPages | None:
    """A B-tree read from end to end; None when that is not allowed, takes too long, or somebody locks it out."""
    query = _MEASURE_INDEX.format(sql.Identifier(extension_schema))
    try:
        async with direct.limits(statement_seconds=MEASURE_SECONDS):
            rows = await direct.execute(query, {"oid": oid})
    except (pg.InsufficientPrivilege, pg.QueryCanceled, pg.LockNotAvailable, pg.UndefinedTable, psycopg.DataError):
        return None
    return LeafPages(*rows[0]) if rows else None
