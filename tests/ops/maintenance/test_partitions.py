"""Each day gets its partition ahead of time, and nothing is lost or stopped by that."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from app.db.brief import briefly
from app.db.direct import DirectConnection, direct_connection
from app.db.queries import validation_partitions
from app.db.sql import read_sql
from app.domain.retention import NotOwner, TableBusy
from app.ops.maintenance.partitions import DAYS_AHEAD, arrange
from tests.conftest import Clock
from tests.factories.http import issue_license, validate
from tests.ops.maintenance.bench import counts_by_partition, put_validations, rows

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SETTINGS = "SELECT DISTINCT reloptions::text FROM pg_class WHERE relname ~ '^validation_events_(default|[0-9]{8})$'"


@pytest.fixture
async def direct(fresh_database: str) -> AsyncIterator[DirectConnection]:
    async with direct_connection(fresh_database) as connection:
        yield connection


async def days(direct: DirectConnection) -> list[date]:
    return [partition.day for partition in await validation_partitions.list_partitions(direct)]


async def test_today_and_fourteen_days_ahead_get_a_partition_once(
    direct: DirectConnection, fresh_database: str
) -> None:
    first = await arrange(direct, now=NOW)
    second = await arrange(direct, now=NOW)
    third = await arrange(direct, now=NOW + timedelta(days=1))

    assert first.days == [date(2026, 3, 1) + timedelta(days=number) for number in range(DAYS_AHEAD + 1)]
    assert (second.days, third.days) == ([], [date(2026, 3, 16)])
    assert await days(direct) == first.days + third.days
    assert rows(fresh_database, SETTINGS) == [("{autovacuum_vacuum_insert_scale_factor=0.05}",)]


@pytest.mark.parametrize("large_default_bytes", [10**9, -1], ids=["a small default", "a large default"])
async def test_rows_of_past_days_are_moved_from_the_default_partition_to_their_day(
    direct: DirectConnection, fresh_database: str, large_default_bytes: int
) -> None:
    for day, count in ((NOW - timedelta(days=40), 3), (datetime(2026, 2, 27, 23, 59, 59, 999999, UTC), 2)):
        put_validations(fresh_database, day, count)
    put_validations(fresh_database, datetime(2026, 2, 28, tzinfo=UTC), 4)
    before = rows(fresh_database, "SELECT * FROM validation_events ORDER BY id")

    arranged = await arrange(direct, now=NOW, large_default_bytes=large_default_bytes)

    assert arranged.rows == 9
    assert counts_by_partition(fresh_database) == {
        "validation_events_20260120": 3,
        "validation_events_20260227": 2,
        "validation_events_20260228": 4,
    }
    assert rows(fresh_database, "SELECT * FROM validation_events ORDER BY id") == before
    left = "SELECT count(*) FROM pg_constraint WHERE conname LIKE 'ck_validation_events_%%' AND conname <> %s"
    assert rows(fresh_database, left, ["ck_validation_events_code"]) == [(0,)]


async def test_today_leaves_a_small_default_partition_and_waits_for_tomorrow_in_a_large_one(
    direct: DirectConnection, fresh_database: str
) -> None:
    put_validations(fresh_database, NOW, 5)

    large = await arrange(direct, now=NOW, large_default_bytes=0)
    assert (list(large.postponed), len(large.days)) == ([date(2026, 3, 1)], DAYS_AHEAD)
    assert counts_by_partition(fresh_database) == {"validation_events_default": 5}

    tomorrow = await arrange(direct, now=NOW + timedelta(days=1), large_default_bytes=0)
    assert (tomorrow.rows, tomorrow.postponed) == (5, {})
    assert counts_by_partition(fresh_database) == {"validation_events_20260301": 5}

    put_validations(fresh_database, NOW + timedelta(days=60), 2)
    small = await arrange(direct, now=NOW + timedelta(days=60))
    assert small.rows == 2


async def test_a_large_default_partition_is_not_read_while_everybody_waits(
    direct: DirectConnection, fresh_database: str
) -> None:
    put_validations(fresh_database, NOW, 1)
    await direct.connection.execute("SET client_min_messages = debug1")

    await validation_partitions.make_partition(direct, date(2026, 2, 1), is_guarded=True)

    said = " ".join(notice.message for notice in direct.take_notices())
    assert 'updated partition constraint for default partition "validation_events_default" is implied by' in said
    assert 'partition constraint for table "validation_events_20260201" is implied by' in said


async def test_a_guard_that_was_left_by_somebody_who_was_killed_is_taken_away(
    direct: DirectConnection, fresh_database: str
) -> None:
    name = "ck_validation_events_default_without_20260301"
    check = f"ADD CONSTRAINT {name} CHECK (occurred_at < '2026-03-01' OR occurred_at >= '2026-03-02') NOT VALID"
    rows_before = counts_by_partition(fresh_database)
    with psycopg.connect(fresh_database) as killed:
        killed.execute(f"ALTER TABLE validation_events_default {check}".encode())

    await validation_partitions.remove_guards(direct)
    put_validations(fresh_database, NOW)

    assert (rows_before, counts_by_partition(fresh_database)) == ({}, {"validation_events_default": 1})


async def test_a_partition_of_somebody_else_is_not_taken_for_a_day(
    direct: DirectConnection, fresh_database: str
) -> None:
    with psycopg.connect(fresh_database) as somebody:
        for name, since, until in (
            ("validation_events_20200101", "2020-01-01", "2020-02-01"),
            ("validation_events_old", "minvalue", "2020-01-01"),
        ):
            bound = since if since == "minvalue" else f"'{since}'"
            somebody.execute(
                f"CREATE TABLE {name} PARTITION OF validation_events FOR VALUES FROM ({bound}) TO ('{until}')".encode()
            )

    assert await days(direct) == []


async def test_while_others_use_the_table_all_the_time_a_day_waits_and_nothing_is_left_behind(
    direct: DirectConnection, fresh_database: str
) -> None:
    put_validations(fresh_database, NOW, 2)
    with psycopg.connect(fresh_database) as reader:
        reader.execute("SELECT count(*) FROM validation_events")
        tables = rows(fresh_database, "SELECT count(*) FROM pg_class")

        with pytest.raises(TableBusy, match="Others used the table all the time"):
            await briefly(direct, lambda: validation_partitions.drop_partition(direct, default_partition()), attempts=2)
    assert rows(fresh_database, "SELECT count(*) FROM pg_class") == tables
    assert counts_by_partition(fresh_database) == {"validation_events_default": 2}


def default_partition() -> validation_partitions.Partition:
    return validation_partitions.Partition("validation_events_default", date(2026, 3, 1), 0, 0)


async def test_a_role_that_does_not_own_the_tables_is_told_so(direct: DirectConnection, fresh_database: str) -> None:
    with psycopg.connect(fresh_database, autocommit=True) as superuser:
        superuser.execute("CREATE ROLE only_reader")
        superuser.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO only_reader")
    try:
        await direct.connection.execute("SET ROLE only_reader")
        with pytest.raises(NotOwner, match="DATABASE_DIRECT_URL"):
            await arrange(direct, now=NOW)
    finally:
        await direct.connection.execute("RESET ROLE")
        await direct.connection.execute("DROP OWNED BY only_reader")
        await direct.connection.execute("DROP ROLE only_reader")


async def test_validations_go_on_while_partitions_are_made_and_no_row_is_lost(
    app: FastAPI, api: httpx.AsyncClient, client: httpx.AsyncClient, fresh_database: str, clock: Clock
) -> None:
    license_key = (await issue_license(api))["licenseKey"]
    for day in range(1, 13):
        put_validations(fresh_database, clock.now - timedelta(days=day), 400)
    answered = 0
    is_done = asyncio.Event()

    async def ask() -> None:
        nonlocal answered
        while not is_done.is_set():
            answer = await validate(client, license_key)
            assert answer["code"] == "VALID"
            answered += 1

    asking = [asyncio.create_task(ask()) for _ in range(8)]
    async with direct_connection(fresh_database) as direct:
        while answered < 50:
            await asyncio.wait(asking, timeout=0.05)
        before = answered
        # Half of the days as from a large default partition, then the rest, today among them.
        for day in range(1, 7):
            past = (clock.now - timedelta(days=day)).date()
            await validation_partitions.make_partition(direct, past, is_guarded=True)
        arranged = await arrange(direct, now=clock.now)
        during = answered - before
        while answered < before + during + 50:
            await asyncio.wait(asking, timeout=0.05)
    is_done.set()
    await asyncio.gather(*asking)

    assert (arranged.postponed, during > 20) == ({}, True)
    counts = counts_by_partition(fresh_database)
    assert counts.pop("validation_events_20260301") == answered
    assert set(counts.values()) == {400}
    assert len(counts) == 12


async def test_a_validation_of_a_later_day_is_written_into_the_partition_of_that_day(
    api: httpx.AsyncClient, client: httpx.AsyncClient, fresh_database: str, clock: Clock
) -> None:
    license_key = (await issue_license(api))["licenseKey"]
    async with direct_connection(fresh_database) as direct:
        await arrange(direct, now=clock.now)

    for _ in range(16):
        await validate(client, license_key)
        clock.forward(days=1)

    counts = counts_by_partition(fresh_database)
    assert counts == {
        **{f"validation_events_202603{day:02}": 1 for day in range(1, 16)},
        "validation_events_default": 1,
    }


async def test_the_statement_that_appends_answers_touches_no_partition_but_its_own(
    direct: DirectConnection, fresh_database: str
) -> None:
    await arrange(direct, now=NOW)
    parameters = {
        "occurred_at": NOW,
        "ids": ["019a0000-0000-7000-8000-000000000001"],
        **{name: [None] for name in ("license_ids", "product_ids", "fingerprint_hashes", "ips", "request_ids")},
        "codes": ["VALID"],
    }
    explain = b"EXPLAIN (ANALYZE, TIMING OFF) " + read_sql("append_validation_events").encode()
    async with direct.connection.transaction(force_rollback=True):
        cursor = await direct.connection.execute(explain, parameters)
        plan = "\n".join(row[0] for row in await cursor.fetchall())
        locks = await direct.connection.execute(
            "SELECT relation::regclass::text FROM pg_locks WHERE pid = pg_backend_pid() AND mode = 'RowExclusiveLock'"
        )
        locked = {row[0] for row in await locks.fetchall()}

    assert re.findall(r"Scan[^(]*", plan) == ["Scan on answer  "]
    tables = {name for name in locked if name.startswith("validation_events")}
    assert tables == {"validation_events", "validation_events_20260301"}
