"""The audit trail only grows: PostgreSQL itself refuses everything else, on the oldest version too."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from psycopg import errors, sql

from app.db.embedded import EmbeddedPostgres
from app.db.migrations import migrate

CHANGES: list[LiteralString] = [
    "UPDATE {} SET {} = {}",
    "DELETE FROM {}",
    "DELETE FROM {} WHERE false",
    "TRUNCATE {}",
]
INSERT = """
    INSERT INTO audit_events (id, occurred_at, event, subject_id, actor_kind, data)
    VALUES (gen_random_uuid(), now(), 'license.changed', 'x', 'command_line', '{}')"""
COLUMNS = {"audit_events": "event", "audit_links": "hash", "audit_bases": "hash"}


@pytest.fixture(scope="module")
def owned(server_url: str) -> Iterator[tuple[str, str]]:
    """The URLs of one migrated database as its owner, who is no superuser, and as a superuser; one event is in it."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE trail_owner LOGIN NOSUPERUSER")
        connection.execute("CREATE DATABASE of_trail_owner OWNER trail_owner")
        try:
            superuser = server_url.replace("/postgres?", "/of_trail_owner?")
            owner = superuser.replace("postgres@", "trail_owner@")
            migrate(owner)
            with psycopg.connect(owner) as as_owner:
                as_owner.execute(INSERT)
            yield owner, superuser
        finally:
            connection.execute("DROP DATABASE of_trail_owner WITH (FORCE)")
            connection.execute("DROP ROLE trail_owner")


def attempt(connection: psycopg.Connection, change: LiteralString, table: str) -> None:
    names = (sql.Identifier(table), *[sql.Identifier(COLUMNS[table])] * 2)
    with connection.transaction(force_rollback=True):
        connection.execute(sql.SQL(change).format(*names))


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("table", COLUMNS)
def test_the_owner_has_no_permission_to_change_what_was_recorded(
    owned: tuple[str, str], table: str, change: LiteralString
) -> None:
    with psycopg.connect(owned[0]) as owner, pytest.raises(errors.InsufficientPrivilege, match="permission denied"):
        attempt(owner, change, table)


@pytest.mark.parametrize("role", ["origin", "replica"])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("table", COLUMNS)
def test_a_trigger_refuses_even_a_superuser(
    owned: tuple[str, str], table: str, change: LiteralString, role: str
) -> None:
    refused = pytest.raises(errors.InsufficientPrivilege, match=f"The audit trail only grows: .* on {table} is refused")
    with psycopg.connect(owned[1], options=f"-c session_replication_role={role}") as superuser, refused:
        attempt(superuser, change, table)


def test_the_owner_records_and_every_new_event_waits_for_its_link(owned: tuple[str, str]) -> None:
    with psycopg.connect(owned[0]) as owner, owner.transaction(force_rollback=True):
        before = owner.execute("SELECT count(*) FROM audit_unsealed").fetchone()
        owner.execute(INSERT)
        owner.execute(INSERT)
        after = owner.execute("SELECT count(*) FROM audit_unsealed JOIN audit_events ON id = event_id").fetchone()

    assert (before, after) == ((1,), (3,))


def test_a_dump_brings_the_trail_and_its_guards_back(
    postgres: EmbeddedPostgres, fresh_database: str, empty_database: str, tmp_path: Path
) -> None:
    with psycopg.connect(fresh_database) as connection:
        connection.execute(INSERT)
    dump = tmp_path / "trail.dump"

    for command in (
        [postgres.bin_dir / "pg_dump", "-Fc", "-f", dump, fresh_database],
        [postgres.bin_dir / "pg_restore", "--exit-on-error", "-d", empty_database, dump],
        [postgres.bin_dir / "pg_restore", "--exit-on-error", "--clean", "-d", empty_database, dump],
    ):
        subprocess.run([str(part) for part in command], check=True, capture_output=True, timeout=60)

    with psycopg.connect(empty_database, autocommit=True) as restored:
        assert restored.execute("SELECT event_id = id FROM audit_unsealed, audit_events").fetchall() == [(True,)]
        restored.execute(INSERT)
        assert restored.execute("SELECT count(*) FROM audit_unsealed").fetchone() == (2,)
        with pytest.raises(errors.InsufficientPrivilege, match="only grows"):
            restored.execute("DELETE FROM audit_events")
