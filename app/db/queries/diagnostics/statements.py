"""Queries over what statements cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg import sql

from app.db.queries.diagnostics.reading import MARK, fetch_rows, find_setting, statement
from app.db.session import Session
from app.domain.diagnostics.answers import Unanswered
from app.domain.diagnostics.statements import SlowStatement

EXTENSION = "pg_stat_statements"


@dataclass(frozen=True, slots=True)
class StatementsView:
    """Where the view lives, and its columns; `has_info` tells whether it says since when it counts."""

    schema: str
    columns: frozenset[str]
    has_info: bool

    def column(self, newest: str, older: str) -> sql.Composable:
        """The column by the name that the view has for it."""
        name = newest if newest in self.columns else older if older in self.columns else None
        return sql.SQL("NULL::float8") if name is None else sql.Identifier(name)


async def get_view(tx: Session) -> StatementsView:
    """The view of our database; raises Unanswered with what is missing."""
    if await find_setting(tx, f"{EXTENSION}.max") is None:
        remedy = (
            "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements';  -- keep what is in it, then restart"
        )
        raise Unanswered("PostgreSQL was started without pg_stat_statements in shared_preload_libraries.", remedy)
    rows = await fetch_rows(tx, statement("statements_view"), name=EXTENSION)
    if not rows:
        raise Unanswered(
            "The extension pg_stat_statements is missing in this database.", f"CREATE EXTENSION {EXTENSION};"
        )
    schema, columns, has_info = rows[0].values()
    return StatementsView(schema, frozenset(columns), has_info)


async def list_costliest(tx: Session, view: StatementsView, *, limit: int) -> tuple[SlowStatement, ...]:
    """Statements of our database as they are normalised there, the costliest altogether first."""
    query = statement(
        "statements",
        view=sql.Identifier(view.schema, EXTENSION),
        total=view.column("total_exec_time", "total_time"),
        max=view.column("max_exec_time", "max_time"),
    )
    rows = await fetch_rows(tx, query, mark=f"%{MARK}%", limit=limit)
    return tuple(SlowStatement(**row) for row in rows)


async def find_beginning(tx: Session, view: StatementsView) -> datetime | None:
    """Since when statements are counted; None when the view does not say."""
    if not view.has_info:
        return None
    query = sql.SQL("SELECT stats_reset FROM {info}").format(info=sql.Identifier(view.schema, f"{EXTENSION}_info"))
    [row] = await fetch_rows(tx, query)
    beginning: datetime | None = row["stats_reset"]
    return beginning
