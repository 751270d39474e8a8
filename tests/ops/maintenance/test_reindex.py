"""Reindex on a real database: bloat falls, leftovers go, and what is not done is explained."""

from __future__ import annotations

import asyncio

import pytest

from app.domain.maintenance import ReindexOptions, TableOptions
from app.domain.runs import RunStatus
from app.ops.maintenance.reindex import clean_up, free_bytes, reindex
from app.ops.maintenance.vacuum import vacuum
from app.settings import Settings
from tests.conftest import ENCRYPTION_KEY
from tests.live import wait_until
from tests.ops.maintenance.workshop import Workshop, by_name

BIG = (
    "CREATE TABLE big (id int PRIMARY KEY, words text) WITH (autovacuum_enabled = off)",
    "ALTER TABLE big ALTER words SET STORAGE EXTERNAL",
    "INSERT INTO big SELECT n, 'x' FROM generate_series(1, 100000) AS n",
    "INSERT INTO big SELECT n, repeat('x', 3000) FROM generate_series(100001, 100100) AS n",
    "VACUUM ANALYZE big",
)
OLD_SNAPSHOT = ("BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT 1")
LEFTOVERS = (
    "SELECT relname FROM pg_class JOIN pg_index ON indexrelid = pg_class.oid WHERE NOT indisvalid ORDER BY relname"
)


async def reached(workshop: Workshop, phase: str) -> None:
    """Wait until some REINDEX is in this phase."""
    query = f"SELECT count(*) FROM pg_stat_progress_create_index WHERE phase = '{phase}'"
    await asyncio.to_thread(wait_until, lambda: workshop.sql(query) == [(1,)], f"a REINDEX is {phase}")


async def told(workshop: Workshop, name: str, phase: str) -> None:
    """Wait until a run has told that this object is in this phase."""

    def is_told() -> bool:
        return any((one.object_name, one.phase) == (name, phase) for one in list(workshop.told))

    await asyncio.to_thread(wait_until, is_told, f"{name} is told to be {phase}")


async def break_reindex(workshop: Workshop, name: str) -> None:
    """Have a REINDEX CONCURRENTLY of this index cancelled while it waits for an old snapshot."""
    with workshop.holding(*OLD_SNAPSHOT):
        rebuilding = asyncio.create_task(asyncio.to_thread(workshop.sql, f"REINDEX INDEX CONCURRENTLY {name}"))
        await reached(workshop, "waiting for old snapshots")
        workshop.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_progress_create_index")
        with pytest.raises(Exception, match="canceling statement"):
            await rebuilding


def toast_index(workshop: Workshop, table: str = "big") -> str:
    """The name of the index of a table's TOAST table."""
    query = (
        "SELECT indexrelid::regclass::text FROM pg_class JOIN pg_index ON indrelid = reltoastrelid "
        f"WHERE pg_class.relname = '{table}'"
    )
    [(name,)] = workshop.sql(query)
    assert isinstance(name, str)
    return name


@pytest.mark.parametrize("has_extension", [False, True])
async def test_an_index_whose_rows_went_is_rebuilt_and_is_smaller_then(
    workshop: Workshop, *, has_extension: bool
) -> None:
    workshop.sql(*BIG, "DELETE FROM big WHERE id % 20 <> 0", "VACUUM big")
    if has_extension:
        workshop.sql('CREATE SCHEMA "Odd"', 'CREATE EXTENSION pgstattuple SCHEMA "Odd"')

    outcome = await reindex(workshop.bench, ReindexOptions())
    again = await reindex(workshop.bench, ReindexOptions(("big",)))

    entry, second = by_name(outcome, "indexes")["public.big_pkey"], by_name(again, "indexes")["public.big_pkey"]
    assert (outcome.status, entry["action"], entry["table"]) == (RunStatus.SUCCEEDED, "rebuilt", "public.big")
    assert entry["sizeAfter"] * 5 < entry["sizeBefore"]
    assert entry["reason"].endswith("of its 2.2 MB is bloat (rebuilt from 30% and 1.0 MB on).")
    assert entry["reason"].startswith("An estimated 9") is not has_extension
    assert second["action"] == "skipped"
    assert {one["action"] for name, one in by_name(outcome, "indexes").items() if name != "public.big_pkey"} == {
        "skipped"
    }
    assert workshop.sql("SELECT indisvalid FROM pg_index WHERE indexrelid = 'big_pkey'::regclass") == [(True,)]


async def test_an_index_that_shall_be_half_empty_is_not_taken_for_bloated(workshop: Workshop) -> None:
    workshop.sql(*BIG[:3], "CREATE INDEX airy ON big (id) WITH (fillfactor = 50)", "VACUUM ANALYZE big")
    options = ReindexOptions(indexes=("airy",))

    estimated = by_name(await reindex(workshop.bench, options), "indexes")["public.airy"]
    workshop.sql("CREATE EXTENSION pgstattuple")
    measured = by_name(await reindex(workshop.bench, options), "indexes")["public.airy"]

    assert (estimated["action"], measured["action"]) == ("skipped", "skipped")
    assert estimated["reason"].startswith(
        ("Nothing to do: an estimated 0% of its 3.9 MB", "Nothing to do: an estimated 1% of its 3.9 MB")
    )
    assert measured["reason"].startswith(("Nothing to do: 0% of its 3.9 MB", "Nothing to do: 1% of its 3.9 MB"))


async def test_a_new_index_that_nobody_has_looked_at_yet_is_not_taken_for_bloated(workshop: Workshop) -> None:
    workshop.sql(*BIG[:3])

    entry = by_name(await reindex(workshop.bench, ReindexOptions(("big",))), "indexes")["public.big_pkey"]

    assert entry["action"] == "skipped"
    assert entry["reason"].startswith("Its bloat is unknown, because it was neither vacuumed nor analyzed yet")


async def test_leftovers_of_a_broken_reindex_are_dropped_those_of_toast_tables_too(workshop: Workshop) -> None:
    workshop.sql(*BIG)
    await break_reindex(workshop, "big_pkey")
    await break_reindex(workshop, "big_pkey")
    toast = toast_index(workshop)
    await break_reindex(workshop, toast)
    bare = toast.removeprefix("pg_toast.")
    assert workshop.sql(LEFTOVERS) == [("big_pkey_ccnew",), ("big_pkey_ccnew1",), (f"{bare}_ccnew",)]

    outcome = await reindex(workshop.bench, ReindexOptions(("licenses",)))

    assert (outcome.status, workshop.sql(LEFTOVERS)) == (RunStatus.SUCCEEDED, [])
    assert {entry["name"]: (entry["table"], entry["action"]) for entry in outcome.result["leftovers"]} == {
        "public.big_pkey_ccnew": ("public.big", "dropped"),
        "public.big_pkey_ccnew1": ("public.big", "dropped"),
        f"{toast}_ccnew": ("public.big", "dropped"),
    }


async def test_a_leftover_that_is_being_built_is_left_alone_and_so_is_a_valid_index_of_such_a_name(
    workshop: Workshop,
) -> None:
    workshop.sql(*BIG, "CREATE INDEX big_words_ccnew ON big (id)")
    with workshop.holding(*OLD_SNAPSHOT):
        rebuilding = asyncio.create_task(
            asyncio.to_thread(workshop.sql, "SET lock_timeout = 0", "REINDEX INDEX CONCURRENTLY big_pkey")
        )
        await reached(workshop, "waiting for old snapshots")

        await clean_up(workshop.bench)

        assert workshop.sql(LEFTOVERS) == [("big_pkey_ccnew",)]
    await rebuilding
    assert workshop.sql(LEFTOVERS) == []
    assert workshop.sql("SELECT count(*) FROM pg_indexes WHERE tablename = 'big'") == [(2,)]


async def test_a_cancelled_reindex_cleans_up_behind_itself(workshop: Workshop) -> None:
    workshop.sql(*BIG)
    with workshop.holding(*OLD_SNAPSHOT):
        run = asyncio.create_task(reindex(workshop.bench, ReindexOptions(indexes=("big_pkey",), force=True)))
        await told(workshop, "public.big_pkey", "waiting for old snapshots")

        run.cancel()

        with pytest.raises(asyncio.CancelledError):
            await run
        assert workshop.sql(LEFTOVERS) == []
    progress = workshop.told[-1]
    assert (progress.object_name, progress.object_percent, progress.percent) == ("public.big_pkey", 92.0, 92.0)


async def test_an_index_that_is_in_place_before_its_rebuild_is_broken_off_counts_as_rebuilt(
    workshop: Workshop,
) -> None:
    workshop.sql(*BIG)
    with workshop.holding("SELECT 1 FROM big LIMIT 1"):
        run = asyncio.create_task(reindex(workshop.bench, ReindexOptions(indexes=("big_pkey",), force=True)))
        await reached(workshop, "waiting for readers before marking dead")
        workshop.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_progress_create_index")
    outcome = await run

    assert outcome.status == RunStatus.SUCCEEDED
    assert by_name(outcome, "indexes")["public.big_pkey"]["action"] == "rebuilt"
    assert [(entry["name"], entry["action"]) for entry in outcome.result["leftovers"]] == [
        ("public.big_pkey_ccold", "dropped")
    ]
    assert workshop.sql(LEFTOVERS) == []


async def test_what_a_dead_owner_left_is_cleaned_up(workshop: Workshop) -> None:
    workshop.sql(*BIG)
    await break_reindex(workshop, "big_pkey")

    await clean_up(workshop.bench)

    assert workshop.sql(LEFTOVERS) == []


async def test_an_invalid_index_is_rebuilt_unless_its_rows_forbid_it(workshop: Workshop) -> None:
    workshop.sql("CREATE TABLE twice AS SELECT 1 AS one UNION ALL SELECT 1")
    with pytest.raises(Exception, match="could not create unique index"):
        workshop.sql("CREATE UNIQUE INDEX CONCURRENTLY only_once ON twice (one)")

    hopeless = await reindex(workshop.bench, ReindexOptions(indexes=("only_once",)))
    workshop.sql("DELETE FROM twice WHERE ctid = '(0,1)'")
    mended = await reindex(workshop.bench, ReindexOptions(indexes=("only_once",)))

    assert hopeless.status == RunStatus.FAILED
    assert hopeless.failure == (
        "Nothing could be done to any of 1 indexes: public.only_once: "
        'Could not create unique index "only_once_ccnew" (23505).'
    )
    assert [entry["action"] for entry in hopeless.result["leftovers"]] == ["dropped"]
    entry = by_name(mended, "indexes")["public.only_once"]
    assert (entry["action"], entry["reason"]) == (
        "rebuilt",
        "It was invalid: the statement that built it has failed, and no query could use it.",
    )
    assert workshop.sql(LEFTOVERS) == []


async def test_exclusion_constraints_are_skipped_and_partitioned_indexes_rebuilt_in_their_leaves(
    workshop: Workshop,
) -> None:
    workshop.sql('CREATE TABLE "Rooms" ("During" tstzrange, EXCLUDE USING gist ("During" WITH &&))')

    rooms = by_name(await reindex(workshop.bench, ReindexOptions(('"Rooms"',), force=True)), "indexes")
    options = ReindexOptions(indexes=("ix_validation_events_license_id_occurred_at",), force=True)
    leaves = by_name(await reindex(workshop.bench, options), "indexes")

    assert rooms['public."Rooms_During_excl"']["action"] == "skipped"
    assert rooms['public."Rooms_During_excl"']["reason"].startswith("It serves an exclusion constraint")
    assert [(entry["table"], entry["action"]) for entry in leaves.values()] == [
        ("public.validation_events_default", "rebuilt")
    ]


async def test_everything_can_be_rebuilt_on_demand(workshop: Workshop) -> None:
    outcome = await reindex(workshop.bench, ReindexOptions(force=True))

    assert outcome.status == RunStatus.SUCCEEDED
    assert {entry["action"] for entry in outcome.result["indexes"]} == {"rebuilt"}
    assert {"public.pk_licenses", "public.pk_machines"} <= set(by_name(outcome, "indexes"))
    assert workshop.told[-1].objects_done == workshop.told[-1].objects_total - 1


async def test_a_locked_table_makes_vacuum_and_reindex_give_up_in_time_and_say_who_holds_it(
    workshop: Workshop,
) -> None:
    workshop.sql(*BIG, "CREATE TABLE free AS SELECT 1 AS one")
    with workshop.holding("LOCK TABLE big IN ACCESS EXCLUSIVE MODE") as pid:
        rebuilt = await reindex(workshop.bench, ReindexOptions(indexes=("big_pkey",), force=True))
        tended = await vacuum(workshop.bench, TableOptions(("big", "free"), force=True))

    whom = f"Tried 3 times, but somebody had locked it: session {pid} (role postgres, idle in transaction"
    assert rebuilt.status == RunStatus.FAILED
    assert rebuilt.failure is not None
    assert rebuilt.failure.startswith(f"Nothing could be done to any of 1 indexes: public.big_pkey: {whom}")
    assert tended.status == RunStatus.SUCCEEDED_WITH_WARNINGS
    assert [warning.startswith(f"public.big: {whom}") for warning in tended.warnings] == [True]
    assert {name: entry["action"] for name, entry in by_name(tended).items()} == {
        "public.free": "vacuumed",
        "public.big": "failed",
    }
    assert by_name(tended)["public.big"]["sizeBefore"] is None


async def test_a_table_that_was_locked_is_tried_again_at_the_end(workshop: Workshop) -> None:
    workshop.sql(*BIG, "CREATE TABLE free AS SELECT 1 AS one")
    with workshop.holding("LOCK TABLE big IN ACCESS EXCLUSIVE MODE"):
        run = asyncio.create_task(vacuum(workshop.bench, TableOptions(("big", "free"), force=True)))
        await told(workshop, "public.free", "vacuuming")
    outcome = await run

    assert (outcome.status, outcome.warnings) == (RunStatus.SUCCEEDED, ())
    assert [(name, entry["action"]) for name, entry in by_name(outcome).items()] == [
        ("public.free", "vacuumed"),
        ("public.big", "vacuumed"),
    ]


def test_free_room_is_known_for_the_embedded_database_alone(settings: Settings) -> None:
    embedded = Settings.model_validate({"data_dir": settings.data_dir, "encryption_key": ENCRYPTION_KEY})
    settings.data_dir.mkdir(parents=True, exist_ok=True)

    assert free_bytes(settings) is None
    assert (free_bytes(embedded) or 0) > 0
