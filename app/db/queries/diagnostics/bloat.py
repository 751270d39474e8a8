"""Queries for bloat: what an estimate needs, and measuring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from psycopg import sql

from app.db.queries.diagnostics.reading import fetch_rows, find_extension_schema, statement
from app.db.session import Session
from app.domain.diagnostics.answers import Unanswered
from app.domain.diagnostics.bloat import BloatKind, Column, Measured

EXTENSION = "pgstattuple"


async def list_tables(tx: Session, *, limit: int) -> list[Measured]:
    """The largest tables, and the TOAST of any."""
    rows = await fetch_rows(tx, statement("bloat_tables"), limit=limit)
    return [measured(tuple(row.values())) for row in rows]


async def list_indexes(tx: Session, *, limit: int) -> list[Measured]:
    """The largest btree indexes."""
    rows = await fetch_rows(tx, statement("bloat_indexes"), limit=limit, oids=None)
    return [measured(tuple(row.values())) for row in rows]


async def get_extension_schema(tx: Session) -> str:
    """Where pgstattuple lives; raises Unanswered when our database has not got it."""
    schema = await find_extension_schema(tx, EXTENSION)
    if schema is None:
        raise Unanswered("The extension pgstattuple is missing in this database.", f"CREATE EXTENSION {EXTENSION};")
    return schema


async def measure(tx: Session, schema: str, facts: Measured) -> int | None:
    """The bytes that hold nothing, by looking at the pages; None when it is gone."""
    query, parameters = measuring(schema, facts)
    rows = await fetch_rows(tx, query, **parameters)
    [spare] = rows[0].values()
    return None if spare is None else int(spare)


def measuring(schema: str, facts: Measured) -> tuple[sql.SQL | sql.Composed, dict[str, int]]:
    """The statement that measures this one, with its parameters."""
    is_index = facts.kind == BloatKind.INDEX
    function = sql.Identifier(schema, "pgstatindex" if is_index else "pgstattuple_approx")
    query = statement("exact_index" if is_index else "exact_table", function=function)
    return query, {"oid": facts.oid, "fill_factor": facts.fill_factor}


def measured(row: Sequence[Any]) -> Measured:
    """A row of either statement."""
    facts = Measured(*row)
    return replace(facts, columns=facts.columns and tuple(Column(*column) for column in row[-1]))
