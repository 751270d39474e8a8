"""Vacuum and analyze on a real database: what needs it gets it, and everything else is explained."""

from __future__ import annotations

from app.domain.maintenance import TableOptions
from app.domain.runs import RunStatus
from app.ops.maintenance.analyze import analyze
from app.ops.maintenance.vacuum import vacuum
from tests.ops.maintenance.workshop import Workshop, by_name

BIG = (
    "CREATE TABLE big (id int PRIMARY KEY, words text) WITH (autovacuum_enabled = off)",
    "INSERT INTO big SELECT n, repeat('x', 40) FROM generate_series(1, 20000) AS n",
    "VACUUM ANALYZE big",
)


async def test_a_table_that_lost_most_of_its_rows_is_vacuumed_and_its_dead_rows_go(workshop: Workshop) -> None:
    workshop.sql(*BIG, "DELETE FROM big WHERE id > 1000")

    outcome = await vacuum(workshop.bench, TableOptions())

    entry = by_name(outcome)["public.big"]
    assert outcome.status == RunStatus.SUCCEEDED
    assert (entry["action"], entry["deadRowsBefore"], entry["deadRowsAfter"]) == ("vacuumed", 19000, 0)
    assert entry["reason"] == "19,000 of 20,000 rows are dead (vacuumed from 100)."
    assert entry["sizeAfter"] < entry["sizeBefore"]
    assert workshop.sql(
        "SELECT n_dead_tup, vacuum_count, analyze_count FROM pg_stat_user_tables WHERE relname = 'big'"
    ) == [(0, 2, 2)]


async def test_a_table_that_needs_nothing_is_skipped_with_the_numbers_unless_forced(workshop: Workshop) -> None:
    workshop.sql(*BIG, "DELETE FROM big WHERE id % 40 = 0")

    lazy = by_name(await vacuum(workshop.bench, TableOptions(("big",))))
    forced = by_name(await vacuum(workshop.bench, TableOptions(("big",), force=True)))

    assert list(lazy) == ["public.big"]
    assert (lazy["public.big"]["action"], lazy["public.big"]["deadRowsAfter"]) == ("skipped", 500)
    assert lazy["public.big"]["reason"] == (
        "Nothing to do: 500 dead rows (vacuumed from 1,025 on),"
        " 500 rows changed since it was analyzed (analyzed from 1,025 on)."
    )
    assert (forced["public.big"]["action"], forced["public.big"]["deadRowsAfter"]) == ("vacuumed", 0)


async def test_a_table_whose_oldest_row_nears_the_age_of_forced_freezing_is_frozen(workshop: Workshop) -> None:
    workshop.sql(
        *BIG,
        "ALTER TABLE big SET (autovacuum_freeze_max_age = 100000)",
        "CREATE TABLE burnt (number int)",
        "DO $$ BEGIN FOR n IN 1..50100 LOOP BEGIN INSERT INTO burnt VALUES (n); "
        "EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$",
    )

    entry = by_name(await vacuum(workshop.bench, TableOptions(("big",))))["public.big"]

    assert entry["action"] == "vacuumed"
    assert entry["reason"].endswith("transactions old; at 100,000 autovacuum must freeze it, whatever the load.")
    assert workshop.sql("SELECT age(relfrozenxid) < 1000 FROM pg_class WHERE relname = 'big'") == [(True,)]


async def test_new_rows_alone_make_the_visibility_map_fresh(workshop: Workshop) -> None:
    workshop.sql(*BIG, "INSERT INTO big SELECT n FROM generate_series(20001, 25000) AS n")

    entry = by_name(await vacuum(workshop.bench, TableOptions(("big",))))["public.big"]

    assert (entry["action"], entry["reason"]) == (
        "vacuumed",
        "5,000 rows came since it was vacuumed (visibility map stale from 2,250).",
    )


async def test_dead_rows_that_an_old_transaction_still_needs_are_told(workshop: Workshop) -> None:
    workshop.sql(*BIG)
    with workshop.holding("BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT 1"):
        workshop.sql("DELETE FROM big WHERE id > 1000")

        outcome = await vacuum(workshop.bench, TableOptions(("big",)))

    assert outcome.status == RunStatus.SUCCEEDED_WITH_WARNINGS
    assert by_name(outcome)["public.big"]["deadRowsAfter"] == 19000
    assert outcome.warnings[0].startswith("public.big keeps 19,000 dead rows: a transaction")


async def test_analyze_touches_what_was_never_analyzed_and_what_has_changed(workshop: Workshop) -> None:
    workshop.sql(*BIG, "UPDATE big SET words = 'y' WHERE id <= 5000", 'CREATE TABLE "Mixed" ("Id" int)')
    workshop.sql('INSERT INTO "Mixed" SELECT generate_series(1, 7)')

    first = by_name(await analyze(workshop.bench, TableOptions()))
    second = by_name(await analyze(workshop.bench, TableOptions(("big", "Mixed"))))

    assert (first["public.big"]["action"], first["public.big"]["reason"]) == (
        "analyzed",
        "5,000 rows were changed since it was analyzed (stale from 1,050).",
    )
    assert (first['public."Mixed"']["action"], first['public."Mixed"']["reason"]) == (
        "analyzed",
        "It was never analyzed, and has 7 rows.",
    )
    assert {name: entry["action"] for name, entry in second.items()} == {
        "public.big": "skipped",
        'public."Mixed"': "skipped",
    }


async def test_a_partitioned_table_has_its_partitions_vacuumed_and_is_analyzed_itself(workshop: Workshop) -> None:
    workshop.sql(
        "INSERT INTO validation_events (id, occurred_at, code) "
        "SELECT gen_random_uuid(), now(), 'VALID' FROM generate_series(1, 3000)",
    )

    outcome = await vacuum(workshop.bench, TableOptions(("validation_events",)))
    again = await vacuum(workshop.bench, TableOptions(("validation_events",)))

    assert {name: entry["action"] for name, entry in by_name(outcome).items()} == {
        "public.validation_events_default": "vacuumed",
        "public.validation_events": "analyzed",
    }
    assert {entry["action"] for entry in by_name(again).values()} == {"skipped"}
    assert workshop.sql("SELECT reltuples FROM pg_class WHERE relname = 'validation_events'") == [(3000.0,)]


async def test_mixed_case_materialized_views_and_other_schemas_are_found_and_system_catalogs_never(
    workshop: Workshop,
) -> None:
    workshop.sql(
        'CREATE SCHEMA "Odd schema"',
        'CREATE TABLE "Odd schema"."select" ("from" int PRIMARY KEY)',
        "CREATE MATERIALIZED VIEW seen AS SELECT 1 AS one",
    )

    everything = by_name(await vacuum(workshop.bench, TableOptions(force=True)))
    chosen = by_name(await vacuum(workshop.bench, TableOptions(('"Odd schema"."select"', "SEEN"), force=True)))

    assert {entry["action"] for entry in everything.values()} == {"vacuumed", "analyzed"}
    assert {'"Odd schema"."select"', "public.seen", "public.licenses", "public.machines"} <= set(everything)
    assert [name for name in everything if name.startswith(("pg_", "information_schema"))] == []
    assert set(chosen) == {'"Odd schema"."select"', "public.seen"}
    assert {entry["action"] for entry in chosen.values()} == {"vacuumed"}


async def test_a_table_that_vanished_after_it_was_chosen_is_told(workshop: Workshop) -> None:
    outcome = await vacuum(workshop.bench, TableOptions(("gone",)))

    assert outcome.status == RunStatus.FAILED
    assert outcome.failure == "Nothing could be done to any of 1 tables: gone: It is not there any more."


async def test_how_far_it_is_is_told_by_size(workshop: Workshop) -> None:
    workshop.sql(*BIG, "CREATE TABLE small AS SELECT 1 AS one")

    await vacuum(workshop.bench, TableOptions(("big", "small"), force=True))

    begun = [
        (one.object_name, one.objects_done, one.objects_total) for one in workshop.told if one.object_percent is None
    ]
    assert begun == [(None, 0, 2), ("public.big", 0, 2), ("public.small", 1, 2)]
    assert workshop.told[0].percent == 0.0
    assert workshop.told[-1].percent > 95
    assert workshop.told[-1].phase == "vacuuming"
