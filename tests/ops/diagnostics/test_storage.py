"""Tables, indexes and bloat of a real PostgreSQL: the places where the guide's queries fail."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import psycopg

from app.db.engine import Database
from app.domain.diagnostics.answers import Answer, Status
from app.domain.diagnostics.bloat import Bloat
from app.ops.diagnostics import bloat, indexes, tables
from tests.ops.diagnostics.conftest import Run

TODAY = date(2026, 3, 31)
NOW = datetime.now(UTC)
ODD = 'A"Mixed; Case%s table'
QUOTED = '"A""Mixed; Case%s table"'


async def test_tables_of_any_name_are_measured_with_heap_toast_and_indexes_apart(database: Database, run: Run) -> None:
    run(
        f"CREATE TABLE {QUOTED} (id int PRIMARY KEY, body text)",
        f"ALTER TABLE {QUOTED} ALTER body SET STORAGE EXTERNAL",
        f"INSERT INTO {QUOTED} SELECT n, repeat('x', 10000) FROM generate_series(1, 100) n",
        f"DELETE FROM {QUOTED} WHERE id <= 10",
    )

    answer = await tables.look(database, today=TODAY)

    largest = answer.items[0]
    assert (largest.table_name, largest.rows_estimate, largest.dead_rows) == (ODD, 90, 10)
    assert largest.toast_bytes > 1_000_000
    assert largest.heap_bytes + largest.toast_bytes + largest.index_bytes == largest.total_bytes
    assert 0 < largest.heap_bytes < 100_000
    [(size,)] = run(f"SELECT pg_total_relation_size('{QUOTED}'::regclass)")
    assert largest.total_bytes == size


async def test_partitions_are_part_of_their_parent_unless_each_is_wanted(database: Database, run: Run) -> None:
    run(
        "CREATE TABLE parts (at int) PARTITION BY RANGE (at)",
        "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20)",
        "INSERT INTO parts SELECT n % 20 FROM generate_series(1, 5000) n",
        f"INSERT INTO size_samples VALUES ('{TODAY - timedelta(days=10)}', 'public.parts', 1000)",
    )

    whole = {one.table_name: one for one in (await tables.look(database, today=TODAY)).items}
    each = {one.table_name: one for one in (await tables.look(database, today=TODAY, each_partition=True)).items}

    assert (whole["parts"].partitions, whole["parts"].rows_estimate) == (2, 5000)
    assert whole["parts"].growth_bytes == whole["parts"].total_bytes - 1000
    assert whole["parts"].growth_since == TODAY - timedelta(days=10)
    assert "parts_1" not in whole
    assert (each["parts_1"].parent, each["parts"].total_bytes) == ("public.parts", 0)


async def test_index_use_is_told_by_the_names_that_the_view_has(database: Database, run: Run) -> None:
    run("SET enable_seqscan = off", f"SELECT * FROM plans WHERE id = '{UUID(int=7)}'")

    answer = await indexes.look(database, limit=500)

    used = {one.index_name: one for one in answer.items}["pk_plans"]
    assert (used.table_name, used.is_unique, used.is_valid, used.method) == ("plans", True, True, "btree")
    assert used.scans >= 1
    assert used.last_scan_at is not None
    assert answer.since is not None


async def test_only_what_nothing_but_reading_needs_can_be_unused(database: Database, run: Run) -> None:
    run(
        'CREATE TABLE u (a int PRIMARY KEY, b int UNIQUE, c int, d int NOT NULL, "E e" int, f int, r int4range,'
        " EXCLUDE USING gist (r WITH &&))",
        "CREATE UNIQUE INDEX u_identity ON u (d)",
        "ALTER TABLE u REPLICA IDENTITY USING INDEX u_identity",
        "CREATE UNIQUE INDEX u_unique ON u (c)",
        'CREATE INDEX "U Unused" ON u ("E e")',
        "CREATE INDEX u_used ON u (f)",
        "SET enable_seqscan = off",
        "SELECT * FROM u WHERE f = 1",
    )

    answer = await indexes.look_for_unused(database, now=NOW, limit=500)

    later = await indexes.look_for_unused(database, now=NOW + timedelta(days=8), limit=500)

    assert {one.index_name: one.action for one in answer.items if one.table_name == "u"} == {"U Unused": None}
    assert answer.is_conclusive is False
    assert answer.evidence is not None
    assert answer.evidence.startswith("Too early to say")
    assert later.is_conclusive is True
    assert {one.index_name: one.action for one in later.items if one.table_name == "u"} == {
        "U Unused": 'DROP INDEX CONCURRENTLY public."U Unused";'
    }


async def test_an_index_of_partitions_is_one_and_used_when_one_of_them_is(database: Database, run: Run) -> None:
    run(
        "CREATE TABLE parts (a int, b int) PARTITION BY RANGE (a)",
        "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10)",
        "CREATE INDEX parts_a ON parts (a)",
        "CREATE INDEX parts_b ON parts (b)",
        "SET enable_seqscan = off",
        "SELECT * FROM parts WHERE a = 1",
    )

    answer = await indexes.look_for_unused(database, now=NOW + timedelta(days=8), limit=500)

    found = {one.index_name: one.action for one in answer.items if one.table_name.startswith("parts")}
    assert found == {"parts_b": "DROP INDEX public.parts_b;"}


async def test_duplicates_and_prefixes_are_found_and_what_differs_is_not(database: Database, run: Run) -> None:
    run(
        "CREATE TABLE d (a int PRIMARY KEY, b text, c int, e int)",
        "CREATE INDEX d_a ON d (a)",
        "CREATE INDEX d_bc ON d (b, c)",
        "CREATE INDEX d_b ON d (b)",
        "CREATE INDEX d_b_desc ON d (b DESC)",
        "CREATE INDEX d_b_pattern ON d (b text_pattern_ops)",
        "CREATE INDEX d_b_some ON d (b) WHERE c > 0",
        'CREATE INDEX d_b_collated ON d (b COLLATE "POSIX")',
        "CREATE INDEX d_b_hash ON d USING hash (b)",
        "CREATE INDEX d_b_more ON d (b) INCLUDE (e)",
        "CREATE INDEX d_lower ON d (lower(b))",
        "CREATE INDEX d_lower_again ON d (lower(b))",
        "CREATE UNIQUE INDEX d_c ON d (c)",
        "CREATE UNIQUE INDEX d_c_again ON d (c)",
    )

    answer = await indexes.look_for_duplicates(database)

    found = {one.index_name: (one.kind, one.covered_by) for one in answer.items if one.table_name == "d"}
    assert found == {
        "d_a": ("duplicate", "d_pkey"),
        "d_b": ("duplicate", "d_b_more"),
        "d_lower_again": ("duplicate", "d_lower"),
    }
    assert [one.action for one in answer.items if one.index_name == "d_a"] == ["DROP INDEX CONCURRENTLY public.d_a;"]


async def test_bloat_rises_with_deleted_rows_and_falls_when_the_table_is_written_anew(
    database: Database, run: Run
) -> None:
    run(
        "CREATE TABLE full_of_rows (id uuid DEFAULT gen_random_uuid() PRIMARY KEY, name text, at timestamptz, n int)",
        "ALTER TABLE full_of_rows SET (autovacuum_enabled = off)",
        "INSERT INTO full_of_rows (name, at, n) SELECT 'name ' || n, now(), n % 10 FROM generate_series(1, 20000) n",
        "CREATE INDEX full_n ON full_of_rows (n)",
        "CREATE INDEX full_lower ON full_of_rows (lower(name))",
        "REINDEX TABLE full_of_rows",
        "VACUUM ANALYZE full_of_rows",
    )
    fresh = shares(await bloat.look(database, limit=500))
    run("DELETE FROM full_of_rows WHERE n <> 3 OR id::text < '8'", "VACUUM ANALYZE full_of_rows")
    bloated = shares(await bloat.look(database, limit=500))
    run("CREATE EXTENSION pgstattuple")
    measured = shares(await bloat.measure(database))
    run("VACUUM (FULL, ANALYZE) full_of_rows")
    mended = shares(await bloat.look(database, limit=500))

    names = ("full_of_rows", "full_of_rows_pkey", "full_n", "full_lower")
    assert {name: fresh[name] < 0.1 for name in names} == dict.fromkeys(names, True), fresh
    assert {name: bloated[name] > 0.8 for name in names} == dict.fromkeys(names, True), bloated
    assert {name: measured[name] > 0.8 for name in names} == dict.fromkeys(names, True), measured
    assert {name: mended[name] < 0.4 for name in names} == dict.fromkeys(names, True), mended
    assert abs(bloated["full_of_rows"] - measured["full_of_rows"]) < 0.1


def shares(answer: Answer[Bloat]) -> dict[str, float]:
    assert answer.status is Status.AVAILABLE, answer.reason
    return {one.name: one.bloat_share for one in answer.items if one.bloat_share is not None and one.kind != "toast"}


async def test_toast_is_told_apart_and_measured_too(database: Database, run: Run) -> None:
    run(
        "CREATE TABLE files (id int, body text)",
        "ALTER TABLE files ALTER body SET STORAGE EXTERNAL",
        "INSERT INTO files SELECT n, repeat('x', 7900) FROM generate_series(1, 500) n",
        "DELETE FROM files WHERE id % 10 <> 0",
        "VACUUM ANALYZE files",
        "CREATE EXTENSION pgstattuple",
    )

    guessed, measured = (
        {(one.name, one.kind): one.bloat_share for one in answer.items}["files", "toast"]
        for answer in (await bloat.look(database), await bloat.measure(database))
    )

    assert guessed is not None
    assert measured is not None
    assert 0.8 < measured < 1
    assert abs(guessed - measured) < 0.1


async def test_an_exact_figure_needs_the_extension_and_says_so(database: Database) -> None:
    answer = await bloat.measure(database)

    assert (answer.status, answer.reason, answer.remedy) == (
        Status.UNAVAILABLE,
        "The extension pgstattuple is missing in this database.",
        "CREATE EXTENSION pgstattuple;",
    )


async def test_measuring_ends_in_time_and_says_what_was_left(database: Database, run: Run) -> None:
    run("CREATE EXTENSION pgstattuple")

    answer = await bloat.measure(database, seconds=0.0)

    assert answer.items == ()
    assert (answer.reason or "").endswith(" more were not measured within 0 s.")


async def test_a_locked_table_makes_the_question_unavailable_and_hurts_no_other(
    database: Database, other: psycopg.Connection
) -> None:
    with other.transaction():
        other.execute("LOCK TABLE plans")
        sizes = await tables.look(database, today=TODAY)
        others = await indexes.look_for_duplicates(database)

    assert (sizes.status, sizes.remedy) == (Status.UNAVAILABLE, "license-server database locks")
    assert others.status is Status.AVAILABLE
