"""How a question is put to PostgreSQL: a short transaction of its own that changes nothing and ends in time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import psycopg
import sqlalchemy.exc
from psycopg import errors as pg
from psycopg import sql

from app.db.engine import Database
from app.db.session import Session, driver_connection
from app.db.sql import read_sql
from app.domain.diagnostics.answers import Unanswered

APPLICATION_NAME = "license-server-diagnostics"
MARK = "license-server diagnostics"
"""Stands in every statement of ours, so that the statements that cost most are those of others."""
LOCK_SECONDS = 1.0

_CHANGED_MEANWHILE = (pg.UndefinedTable, pg.UndefinedObject, pg.UndefinedFile, pg.InternalError_)

Item = TypeVar("Item")
Parameters = Mapping[str, Any]


@asynccontextmanager
async def question(database: Database, seconds: float) -> AsyncIterator[Session]:
    """A transaction that only reads, whose statements end in time; raises Unanswered and DatabaseUnavailable."""
    async with database.transaction() as tx:
        with _explained(await role_of(tx), seconds):
            limits = {
                "transaction_read_only": "on",
                "statement_timeout": f"{round(seconds * 1000)}ms",
                "lock_timeout": f"{round(min(LOCK_SECONDS, seconds) * 1000)}ms",
                "application_name": APPLICATION_NAME,
                "jit": "off",
            }
            for name, value in limits.items():
                await fetch_rows(tx, sql.SQL("SELECT set_config(%(name)s, %(value)s, true)"), name=name, value=value)
            yield tx


async def fetch(tx: Session, item: type[Item], name: str, **parameters: Any) -> tuple[Item, ...]:
    """The rows of a named statement, each as an item whose fields are its columns."""
    return tuple(item(**row) for row in await fetch_rows(tx, statement(name), **parameters))


async def fetch_rows(tx: Session, query: sql.SQL | sql.Composed, **parameters: Any) -> list[dict[str, Any]]:
    """The rows by the names of their columns, lists as tuples, of a statement with our mark behind it."""
    connection = await driver_connection(tx)
    cursor = await connection.execute(query + sql.SQL(f" /* {MARK} */"), parameters, prepare=False)
    names = [column.name for column in cursor.description or ()]
    rows = await cursor.fetchall()
    return [dict(zip(names, map(_frozen, row), strict=True)) for row in rows]


def statement(name: str, **parts: sql.Composable) -> sql.SQL | sql.Composed:
    """The statement of that file; parts are put in where it has a place for them."""
    text = sql.SQL(read_sql(f"diagnostics/{name}"))
    return text.format(**parts) if parts else text


async def find_setting(tx: Session, name: str) -> str | None:
    """A setting of the server; None when it has no such setting."""
    [row] = await fetch_rows(tx, sql.SQL("SELECT current_setting(%(name)s, true) AS value"), name=name)
    value: str | None = row["value"]
    return value


async def find_extension_schema(tx: Session, name: str) -> str | None:
    """The schema that an extension lives in; None when our database has not got it."""
    rows = await fetch_rows(tx, statement("extension_schema"), name=name)
    return rows[0]["nspname"] if rows else None


async def role_of(tx: Session) -> str:
    """Our role, as SQL takes it."""
    [row] = await fetch_rows(tx, sql.SQL("SELECT quote_ident(current_user) AS role"))
    return str(row["role"])


async def find_hidden(tx: Session) -> tuple[str | None, str | None]:
    """Why sessions of other roles are only seen in part, and what changes it; twice None when they are not."""
    query = sql.SQL("SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees_all")
    [row] = await fetch_rows(tx, query)
    if row["sees_all"]:
        return None, None
    return "What other roles do is hidden from this one.", f"GRANT pg_monitor TO {await role_of(tx)};"


@contextmanager
def _explained(role: str, seconds: float) -> Iterator[None]:
    try:
        yield
    except sqlalchemy.exc.DBAPIError as error:
        raise _explanation(error.orig, role, seconds) or error from error
    except psycopg.Error as error:
        raise _explanation(error, role, seconds) or error from error


def _explanation(error: BaseException | None, role: str, seconds: float) -> Unanswered | None:
    if isinstance(error, pg.QueryCanceled):
        return Unanswered(f"It took longer than {seconds:g} s, or was cancelled; ask again when less is going on.")
    if isinstance(error, pg.LockNotAvailable):
        return Unanswered("Somebody holds a lock on what was looked at.", "license-server database locks")
    if isinstance(error, pg.InsufficientPrivilege):
        said = error.diag.message_primary or "permission denied"
        return Unanswered(f"The role {role} lacks a grant: {said}.", f"GRANT pg_monitor TO {role};")
    if isinstance(error, _CHANGED_MEANWHILE):
        return Unanswered("Something was dropped while it was looked at; ask again.")
    return None


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
