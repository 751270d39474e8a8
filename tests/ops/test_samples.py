"""Samples of a real database: every table once, partitions with their parent, statements without literals."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from app.db.engine import Database
from app.db.migrations import migrate
from app.db.queries import samples as queries
from app.db.session import Session
from app.ops import samples
from tests.acceptance.test_postgres_versions import installed_servers, make_owned_database, running

DAY = date(2026, 3, 1)


async def measured(tx: Session) -> dict[str, int]:
    return {one.subject: one.bytes for one in await queries.list_sizes(tx, since=DAY)}


async def test_every_table_and_the_whole_database_is_measured(tx: Session) -> None:
    await tx.execute(text('CREATE SCHEMA "Odd.One"'))
    await tx.execute(
        text('CREATE TABLE "Odd.One"."Mixed ""Case" AS SELECT repeat(i::text, 100) FROM generate_series(1, 9999) i')
    )

    assert await samples.take(tx, DAY)

    sizes = await measured(tx)
    assert sizes['Odd.One.Mixed "Case'] > 100_000
    assert sizes["public.licenses"] > 0
    assert sizes["database"] > sizes['Odd.One.Mixed "Case']
    assert [name for name in sizes if name.startswith(("pg_", "information_schema"))] == []


async def test_partitions_are_counted_as_their_parent(tx: Session) -> None:
    await samples.take(tx, DAY)
    before = (await measured(tx))["public.validation_events"]
    await tx.execute(
        text(
            "INSERT INTO validation_events (id, occurred_at, code)"
            " SELECT gen_random_uuid(), now(), 'VALID' FROM generate_series(1, 5000)"
        )
    )

    await samples.take(tx, DAY + timedelta(days=1))

    sizes = {one.subject: one.bytes for one in await queries.list_sizes(tx, since=DAY + timedelta(days=1))}
    assert sizes["public.validation_events"] > before + 100_000
    assert [name for name in sizes if name.startswith("public.validation_events_")] == []


async def test_a_sample_is_taken_once_a_day(tx: Session) -> None:
    assert await samples.take(tx, DAY)

    assert not await samples.take(tx, DAY)
    assert await samples.take(tx, DAY + timedelta(days=1))


async def test_statements_are_kept_without_literals_and_of_this_database_alone(
    fresh_database: str, shared_database: str
) -> None:
    database = Database(fresh_database, pool_size=2)
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute('CREATE SCHEMA "Else"')
        connection.execute('CREATE EXTENSION pg_stat_statements SCHEMA "Else"')
        for _ in range(3):
            connection.execute("SELECT 'anna@acme.example', 4711 AS sampled")
        connection.execute("DO $$BEGIN PERFORM 'secret of anna'; END$$")
    with psycopg.connect(shared_database) as other:
        other.execute("SELECT 1 AS elsewhere")

    async with database.transaction() as tx:
        await samples.take(tx, DAY)
        found = await queries.list_statements(tx, DAY)

    await database.close()
    [one] = [one for one in found if "sampled" in one.query]
    assert (one.calls, one.query) == (3, "SELECT $1, $2 AS sampled")
    texts = "\n".join(one.query for one in found)
    assert ["anna" in texts, "elsewhere" in texts, "DO ?" in texts] == [False, False, True]


async def test_without_the_extension_there_are_sizes_alone(tx: Session) -> None:
    await samples.take(tx, DAY)

    assert await queries.find_statement_day(tx, DAY) is None


@pytest.mark.parametrize("bin_dir", [one for one in installed_servers() if "embedded" not in str(one)], ids=str)
async def test_older_versions_are_measured_and_an_extension_that_is_missing_or_not_loaded_is_none(
    bin_dir: Path,
) -> None:
    with running(bin_dir) as port:
        url = make_owned_database(port)
        with (
            psycopg.connect(url.replace("license_owner@", "postgres@"), autocommit=True) as connection,
            suppress(psycopg.errors.FeatureNotSupported),  # packages for tests come without it
        ):
            connection.execute("CREATE EXTENSION pg_stat_statements")
        migrate(url)
        database = Database(url, pool_size=2)
        async with database.transaction() as tx:
            await samples.take(tx, DAY)
            sizes, statements = await measured(tx), await queries.list_statements(tx, DAY)
        await database.close()

    assert sizes["database"] > sizes["public.licenses"] > 0
    assert statements == []
