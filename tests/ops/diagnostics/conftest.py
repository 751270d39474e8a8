"""What tests of diagnostics are given: the pool of a server, and a session that makes what is looked at."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import psycopg
import pytest

from app.db.engine import Database

Run = Callable[..., list[tuple[object, ...]]]


@pytest.fixture
async def database(fresh_database: str) -> AsyncIterator[Database]:
    """The pool of a server on a database of the test's own."""
    pool = Database(fresh_database, pool_size=3)
    yield pool
    await pool.close()


@pytest.fixture
def other(fresh_database: str) -> Iterator[psycopg.Connection]:
    """Another session, each of whose statements is committed; its statistics are there at once."""
    with psycopg.connect(fresh_database, autocommit=True, application_name="other") as connection:
        yield connection


@pytest.fixture
def run(other: psycopg.Connection) -> Run:
    """Runs statements in the other session; the rows of the last one."""

    def run_all(*statements: str) -> list[tuple[object, ...]]:
        rows: list[tuple[object, ...]] = []
        for statement in statements:
            cursor = other.execute(statement.encode())
            rows = cursor.fetchall() if cursor.description else []
            other.execute("SELECT pg_stat_force_next_flush()")
        return rows

    return run_all
