"""The bloat of chosen indexes, asked as diagnostics ask, on a session of maintenance."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg import errors as pg

from app.db.direct import DirectConnection
from app.db.queries.diagnostics.bloat import EXTENSION, measured, measuring
from app.db.queries.diagnostics.reading import statement
from app.domain.diagnostics.bloat import Measured

FACTS_SECONDS = 30.0
MEASURE_SECONDS = 120.0


async def list_indexes(direct: DirectConnection, oids: Sequence[int]) -> dict[int, Measured]:
    """What is known of the btree indexes among these, by their oids."""
    async with direct.limits(statement_seconds=FACTS_SECONDS):
        rows = await direct.execute(statement("bloat_indexes"), {"oids": list(oids), "limit": None})
    return {facts.oid: facts for facts in map(measured, rows)}


async def find_pgstattuple(direct: DirectConnection) -> str | None:
    """The schema of the extension pgstattuple, if it is there."""
    rows = await direct.execute(statement("extension_schema"), {"name": EXTENSION})
    return rows[0][0] if rows else None


async def measure_index(direct: DirectConnection, extension_schema: str, facts: Measured) -> int | None:
    """The bytes that hold nothing; None when looking is not allowed, takes too long, or somebody locks it out."""
    query, parameters = measuring(extension_schema, facts)
    try:
        async with direct.limits(statement_seconds=MEASURE_SECONDS):
            rows = await direct.execute(query, parameters)
    except (pg.InsufficientPrivilege, pg.QueryCanceled, pg.LockNotAvailable, pg.UndefinedTable, psycopg.DataError):
        return None
    return rows[0][0] if rows else None
