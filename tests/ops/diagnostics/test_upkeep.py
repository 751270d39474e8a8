"""Wraparound, sequences, what is invalid, foreign keys, vacuum and replication of a real PostgreSQL."""

from __future__ import annotations

import psycopg
import pytest

from app.db.engine import Database
from app.domain.diagnostics.answers import Status
from app.ops.diagnostics import foreign_keys, invalid_objects, replication, sequences, vacuum, wraparound
from tests.live import wait_until
from tests.ops.diagnostics.conftest import Run


async def test_ages_are_told_of_every_database_and_of_our_worst_tables(database: Database) -> None:
    answer = await wraparound.look(database)

    databases = {one.name: one for one in answer.items if one.kind == "database"}
    assert {"postgres", "template0", "template1"} < set(databases)
    assert sum(one.is_ours for one in databases.values()) == 1
    assert databases["postgres"].xid_freeze_max_age == 200_000_000
    assert 0 < databases["postgres"].share < 0.001
    assert [one for one in answer.items if one.kind == "table" and one.schema_name == "pg_catalog"]


async def test_a_sequence_ends_where_its_column_ends_and_may_count_down(database: Database, run: Run) -> None:
    run(
        'CREATE TABLE counted (id serial, "Small One" smallserial, big bigint)',
        "SELECT setval('counted_id_seq', 2000000000)",
        'CREATE SEQUENCE "Big Seq" OWNED BY counted.id',
        "SELECT setval('\"Big Seq\"', 1073741824)",
        "CREATE SEQUENCE falling INCREMENT -1 MINVALUE -100 MAXVALUE -1",
        "SELECT setval('falling', -90)",
        "CREATE SEQUENCE turning MAXVALUE 10 CYCLE",
        "CREATE SEQUENCE fresh",
    )

    answer = await sequences.look(database)

    used = {one.sequence_name: round(one.used_share, 2) if one.used_share else None for one in answer.items}
    assert used == {
        "counted_id_seq": 0.93,
        "falling": 0.9,
        "Big Seq": 0.5,
        "counted_Small One_seq": None,
        "turning": None,
        "fresh": None,
    }
    by_name = {one.sequence_name: one for one in answer.items}
    assert (by_name["Big Seq"].column, by_name["Big Seq"].limit) == ("counted.id", 2**31 - 1)
    assert by_name["turning"].is_cycle


async def test_what_failed_rebuilds_leave_behind_is_found_with_toast(
    database: Database, run: Run, fresh_database: str
) -> None:
    run(
        'CREATE TABLE "Invalid T" (a int, body text)',
        'ALTER TABLE "Invalid T" ALTER body SET STORAGE EXTERNAL',
        'INSERT INTO "Invalid T" VALUES (1), (1)',
        'ALTER TABLE "Invalid T" ADD CONSTRAINT never_checked CHECK (a > 1) NOT VALID',
    )
    with pytest.raises(psycopg.errors.UniqueViolation):
        run('CREATE UNIQUE INDEX CONCURRENTLY twice ON "Invalid T" (a)')
    cancel_rebuild_of_toast(fresh_database)

    answer = await invalid_objects.look(database)

    assert [(one.kind, one.name, one.table_name) for one in answer.items if "pg_toast" not in one.name] == [
        ("constraint", "never_checked", '"Invalid T"'),
        ("index", "twice", '"Invalid T"'),
    ]
    [leftover] = [one for one in answer.items if "pg_toast" in one.name]
    assert (leftover.kind, leftover.schema_name, leftover.table_name) == ("leftover", "pg_toast", '"Invalid T"')
    run(leftover.action, 'DELETE FROM "Invalid T"')
    assert {one.name: one.action for one in answer.items if one.kind != "leftover"} == {
        "never_checked": 'ALTER TABLE public."Invalid T" VALIDATE CONSTRAINT never_checked;',
        "twice": "REINDEX INDEX CONCURRENTLY public.twice;",
    }
    run(*(one.action for one in answer.items if one.kind != "leftover"))
    assert (await invalid_objects.look(database)).items == ()


def cancel_rebuild_of_toast(url: str) -> None:
    """Rebuild the TOAST index while somebody writes to it, and give up waiting for them: that leaves `_ccnew`."""
    with psycopg.connect(url) as writer, psycopg.connect(url, autocommit=True) as builder:
        writer.execute("INSERT INTO \"Invalid T\" VALUES (3, repeat('x', 10000))")
        [name] = writer.execute(
            "SELECT i.indexrelid::regclass::text FROM pg_class t JOIN pg_index i ON i.indrelid = t.reltoastrelid"
            " WHERE t.relname = 'Invalid T'"
        ).fetchone() or ("",)
        builder.execute("SET lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            builder.execute(f"REINDEX INDEX CONCURRENTLY {name}".encode())
        writer.rollback()


async def test_foreign_keys_without_an_index_are_found_in_any_order_of_columns(database: Database, run: Run) -> None:
    run(
        "CREATE TABLE target (a int, b int, PRIMARY KEY (a, b))",
        'CREATE TABLE "Source" (x int, "Y y" int, z int, FOREIGN KEY (x, "Y y") REFERENCES target,'
        " CONSTRAINT reversed FOREIGN KEY (z, x) REFERENCES target)",
        'CREATE INDEX ON "Source" (x, z)',
        'CREATE INDEX ON "Source" (x, "Y y") WHERE z > 0',
    )

    answer = await foreign_keys.look(database)

    [one] = [one for one in answer.items if one.table_name == "Source"]
    assert (one.columns, one.referenced_table) == (("x", "Y y"), "target")
    run(one.action)
    assert [one for one in (await foreign_keys.look(database)).items if one.table_name == "Source"] == []


async def test_dead_rows_are_held_against_the_threshold_of_their_table(database: Database, run: Run) -> None:
    run(
        "CREATE TABLE watched (a int) WITH (autovacuum_vacuum_threshold = 10, autovacuum_vacuum_scale_factor = 0)",
        "CREATE TABLE left_alone (a int) WITH (autovacuum_enabled = off)",
        "INSERT INTO watched SELECT generate_series(1, 100)",
        "DELETE FROM watched WHERE a <= 40",
    )

    answer = await vacuum.look(database, limit=500)

    by_name = {one.table_name: one for one in answer.items}
    watched = by_name["watched"]
    assert (watched.dead_rows, watched.vacuum_threshold, watched.share) == (40, 10, 4.0)
    assert (watched.is_autovacuum_on, watched.last_vacuum_at) == (True, None)
    assert answer.items[0].table_name == "left_alone"
    assert not by_name["left_alone"].is_autovacuum_on
    assert by_name["plans"].vacuum_threshold >= 50
    run("VACUUM watched")
    again = {one.table_name: one for one in (await vacuum.look(database, limit=500)).items}["watched"]
    assert (again.dead_rows, again.last_vacuum_at is not None) == (0, True)


async def test_no_replication_is_an_answer_and_a_slot_is_told_with_its_log(database: Database, run: Run) -> None:
    alone = await replication.look(database)
    try:
        run("SELECT pg_create_physical_replication_slot('forgotten', true)")
        answer = await replication.look(database)
    finally:
        wait_until(lambda: run("SELECT pg_drop_replication_slot('forgotten')") != [], "the slot is gone")

    assert (alone.status, alone.items, alone.is_standby) == (Status.AVAILABLE, (), False)
    assert alone.wal_bytes is not None
    assert alone.wal_bytes > 0
    assert alone.archiver is not None
    assert (alone.archiver.is_on, alone.archiver.is_failing) == (False, False)
    [slot] = answer.items
    assert (slot.kind, slot.name, slot.is_active) == ("slot", "forgotten", False)
    assert slot.behind_bytes is not None
