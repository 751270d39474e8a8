"""Connections, statements, locks and transactions, as a real PostgreSQL tells them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from app.db.embedded import EmbeddedPostgres
from app.db.engine import Database
from app.domain.diagnostics.answers import Status
from app.ops.diagnostics import connections, locks, statements, transactions
from tests.live import wait_until
from tests.ops.diagnostics.conftest import Run

SECRET = "ABCD-EFGH-JKLM-NPQR-STUV"


async def test_sessions_are_counted_by_state_without_our_own_and_other_databases(
    database: Database, other: psycopg.Connection, postgres: EmbeddedPostgres, fresh_database: str
) -> None:
    with (
        psycopg.connect(postgres.database_url("postgres"), application_name="elsewhere"),
        psycopg.connect(fresh_database, application_name="forgotten") as forgotten,
    ):
        forgotten.execute(f"SELECT '{SECRET}', 4711".encode())
        answer = await connections.look(database)

    groups = {(one.application, one.state): one.sessions for one in answer.items}
    assert groups == {("other", "idle"): 1, ("forgotten", "idle in transaction"): 1}
    assert [one.statement for one in answer.longest if one.application == "forgotten"] == ["SELECT ?, ?"]
    assert answer.capacity is not None
    assert answer.capacity.used >= 4
    assert answer.capacity.maximum == 200
    assert answer.pool is not None
    assert (answer.pool.size, answer.pool.in_use) == (3, 1)


async def test_what_costs_most_is_told_once_the_extension_is_there(database: Database, run: Run) -> None:
    missing = await statements.look(database)
    assert (missing.status, missing.items) == (Status.UNAVAILABLE, ())
    assert missing.reason == "The extension pg_stat_statements is missing in this database."

    run('CREATE SCHEMA "Odd Place"', missing.remedy.replace(";", ' SCHEMA "Odd Place"') if missing.remedy else "")
    run(f"SELECT count(*), '{SECRET}' FROM generate_series(1, 200000)")
    run("SELECT pg_sleep(0.05)", "VACUUM plans", f"CREATE ROLE temporary_{id(run)} PASSWORD '{SECRET}'")
    run(f"DROP ROLE temporary_{id(run)}")
    answer = await statements.look(database)
    again = await statements.look(database, limit=500)

    texts = [one.statement for one in again.items]
    [slept] = [one for one in again.items if "pg_sleep" in one.statement]
    assert (slept.calls, slept.mean_milliseconds >= 50, slept.max_milliseconds == slept.mean_milliseconds) == (
        1,
        True,
        True,
    )
    assert SECRET not in " ".join(texts)
    assert any("PASSWORD" in text for text in texts)
    assert not [text for text in texts if "VACUUM" in text or "diagnostics" in text or "pg_partition_root" in text]
    assert answer.since is not None
    assert [one.total_milliseconds for one in answer.items] == sorted(
        (one.total_milliseconds for one in answer.items), reverse=True
    )


@contextmanager
def waiting(url: str, statement: str) -> Iterator[None]:
    """A session that waits for a lock, until whoever holds it lets go."""

    def wait() -> None:
        with psycopg.connect(url, application_name="waiter") as connection:
            connection.execute(statement.encode())

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        thread.join(30)


async def test_whoever_waits_for_a_lock_stands_below_whoever_holds_it(
    database: Database, fresh_database: str, other: psycopg.Connection
) -> None:
    with psycopg.connect(fresh_database, application_name="holder") as holder:
        holder.execute("LOCK TABLE plans")
        with waiting(fresh_database, f"SELECT * FROM plans WHERE name = '{SECRET}'"):
            try:
                wait_until(lambda: is_anybody_waiting(other), "the lock is waited for")
                answer = await locks.look(database)
            finally:
                holder.rollback()

    root, waiter = answer.items
    assert (root.application, root.depth, root.state) == ("holder", 0, "idle in transaction")
    assert root.action == f"SELECT pg_terminate_backend({root.pid});"
    assert (waiter.application, waiter.depth, waiter.blocked_by) == ("waiter", 1, (root.pid,))
    assert (waiter.waits_for, waiter.statement) == (
        "AccessShareLock on public.plans",
        "SELECT * FROM plans WHERE name = ?",
    )
    assert waiter.waiting_since is not None


def is_anybody_waiting(other: psycopg.Connection) -> bool:
    rows = other.execute("SELECT waitstart FROM pg_locks WHERE NOT granted AND waitstart IS NOT NULL").fetchall()
    return bool(rows)


async def test_nobody_who_waits_is_an_answer(database: Database) -> None:
    answer = await locks.look(database)

    assert (answer.status, answer.items) == (Status.AVAILABLE, ())


async def test_open_transactions_are_told_with_what_ends_them(database: Database, fresh_database: str) -> None:
    with psycopg.connect(fresh_database, application_name="forgotten") as forgotten:
        forgotten.execute("INSERT INTO products (id, name) VALUES ('x', 'y')")
        answer = await transactions.look(database)
        forgotten.rollback()

    [one] = answer.items
    assert (one.application, one.state, one.held_back_xids) == ("forgotten", "idle in transaction", 1)
    assert one.statement == "INSERT INTO products (id, name) VALUES (?, ?)"
    assert one.action == f"SELECT pg_terminate_backend({one.pid});"


@pytest.mark.parametrize("look", [connections.look, locks.look, transactions.look])
async def test_lists_have_a_bound(database: Database, fresh_database: str, look: object) -> None:
    with psycopg.connect(fresh_database) as one, psycopg.connect(fresh_database) as two:
        one.execute("SELECT 1")
        two.execute("SELECT 1")
        answer = await look(database, limit=1)  # type: ignore[operator]  # each is a question

    assert len(answer.items) <= 1
