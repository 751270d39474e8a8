"""Queries for bloat: what an estimate needs, and measuring."""

from __future__ import annotations

from psycopg import sql

from app.db.queries.diagnostics.reading import fetch_rows, find_extension_schema, statement
from app.db.session import Session
from app.domain.diagnostics.answers import Unanswered
from app.domain.diagnostics.bloat import BloatKind, Column, Measured

EXTENSION = "pgstattuple"


async def list_tables(tx: Session, *, limit: int) -> list[Measured]:
    """The largest tables, and the TOAST of any."""
    return await _list(tx, "bloat_tables", limit)


async def list_indexes(tx: Session, *, limit: int) -> list[Measured]:
    """The largest btree indexes."""
    return await _list(tx, "bloat_indexes", limit)


async def get_extension_schema(tx: Session) -> str:
    """Where pgstattuple lives; raises Unanswered when our database has not got it."""
    schema = await find_extension_schema(tx, EXTENSION)
    if schema is None:
        raise Unanswered("The extension pgstattuple is missing in this database.", f"CREATE EXTENSION {EXTENSION};")
    return schema


async def measure(tx: Session, schema: str, facts: Measured) -> int | None:
    """The bytes that hold nothing, by looking at the pages; None when it is gone."""
    is_index = facts.kind == BloatKind.INDEX
    function = sql.Identifier(schema, "pgstatindex" if is_index else "pgstattuple_approx")
    query = statement("exact_index" if is_index else "exact_table", function=function)
    rows = await fetch_rows(tx, query, oid=facts.oid, fill_factor=facts.fill_factor)
    [spare] = rows[0].values()
    return None if spare is None else int(spare)


async def _list(tx: Session, name: str, limit: int) -> list[Measured]:
    rows = await fetch_rows(tx, statement(name), limit=limit)
    return [
        Measured(**{**row, "columns": row["columns"] and tuple(Column(*column) for column in row["columns"])})
        for row in rows
    ]
