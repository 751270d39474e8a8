"""Restoring a backup on trial: scratch databases, and what is looked at in them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import psycopg

from app.db.direct import direct_connection
from app.db.models.base import new_id
from app.db.scratch import read_shape
from app.domain.backups import Manifest, read_manifest
from app.domain.maintenance import BackupOptions
from app.ops.audit_chain import find_faults
from app.ops.backups.backup import backup
from app.ops.backups.copies import Copy, check_file
from app.ops.backups.examination import CheckName, Examination, examine
from app.ops.backups.scratch import Purpose, drop_database, fill, make_database, scratch_database, scratch_name, sweep
from app.ops.backups.stores import LocalStore
from app.vault import Vault, make_key
from tests.conftest import ENCRYPTION_KEY
from tests.ops.maintenance.workshop import NOW, Workshop


async def make_copy(workshop: Workshop) -> Copy:
    """A backup of the workshop's database, with its manifest."""
    outcome = await backup(workshop.bench, BackupOptions())
    store = LocalStore(workshop.bench.settings.backup_dir)
    name = outcome.result["fileName"].partition(".")[0] + ".manifest.json"
    return Copy(read_manifest(json.loads(store.read_text(name))), store, None)


@asynccontextmanager
async def restored(workshop: Workshop, copy: Copy) -> AsyncIterator[str]:
    """The address of a scratch database that a copy was restored into."""
    shape = await read_shape(workshop.bench.direct)
    name = scratch_name("live", Purpose.VERIFY, new_id())
    async with scratch_database(workshop.url, name, shape) as url:
        await fill(url, copy, check_file(copy), workshop.bench.tell)
        yield url


async def examined(
    workshop: Workshop, url: str, manifest: Manifest, keys: tuple[str, ...] = (ENCRYPTION_KEY,)
) -> Examination:
    """What is found in a restored database."""
    return await examine(url, manifest, Vault(keys), NOW, workshop.bench.tell, verify_chain=find_faults)


def databases(workshop: Workshop) -> set[str]:
    """The names of all databases of the cluster."""
    return {name for (name,) in workshop.sql("SELECT datname FROM pg_database")}


async def test_a_restored_backup_passes_every_check_and_its_scratch_database_goes(workshop: Workshop) -> None:
    before = databases(workshop)
    copy = await make_copy(workshop)

    async with restored(workshop, copy) as url:
        found = await examined(workshop, url, copy.manifest)
        async with direct_connection(url) as direct, direct_connection(workshop.url) as live:
            assert await read_shape(direct) == await read_shape(live)

    assert found.is_good, found.faults
    assert [check.name for check in found.checks] == list(CheckName)
    assert databases(workshop) == before


async def test_rows_that_are_missing_changed_or_too_many_are_told_by_table(workshop: Workshop) -> None:
    workshop.sql("INSERT INTO products (id, name) SELECT 'p' || n, 'p' || n FROM generate_series(1, 9) n")
    copy = await make_copy(workshop)

    async with restored(workshop, copy) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("UPDATE products SET name = 'other' WHERE id = 'p3'")
            changed = await examined(workshop, url, copy.manifest)
            connection.execute("DELETE FROM products WHERE id = 'p3'")
            fewer = await examined(workshop, url, copy.manifest)
            connection.execute("DROP TABLE idempotency_keys")
            without = await examined(workshop, url, copy.manifest)

    assert [check.detail for check in changed.faults] == ["public.products has 9 rows as it should, but other ones."]
    assert [check.detail for check in fewer.faults] == ["public.products has 8 rows instead of 9."]
    assert "public.idempotency_keys is missing" in without.faults[0].detail


async def test_a_schema_that_is_not_the_manifests_is_told(workshop: Workshop) -> None:
    copy = await make_copy(workshop)

    async with restored(workshop, copy) as url:
        found = await examined(workshop, url, replace(copy.manifest, schema_head="0000"))

    assert [check.name for check in found.faults] == [CheckName.SCHEMA]


async def test_keys_that_do_not_open_what_is_in_it_are_told_as_such(workshop: Workshop) -> None:
    encrypted = Vault((make_key(),)).encrypt("secret").hex()
    workshop.sql(
        "INSERT INTO installation_secrets (name, value_encrypted, created_at)"
        f" VALUES ('other', '\\x{encrypted}', now())"
    )
    copy = await make_copy(workshop)

    async with restored(workshop, copy) as url:
        found = await examined(workshop, url, copy.manifest)

    assert found.is_key_missing
    assert found.faults[0].detail.startswith("installation_secrets.value_encrypted was encrypted with a key")


async def test_sweeping_drops_what_dead_runs_left_and_nothing_that_somebody_works_in(workshop: Workshop) -> None:
    dead, alive = new_id(), new_id()
    stranger = "live2_verify_0123456789ab"
    for name in (scratch_name("live", Purpose.VERIFY, dead), scratch_name("live", Purpose.RESTORE, dead), stranger):
        await make_database(workshop.url, name, None)
    try:
        async with scratch_database(workshop.url, scratch_name("live", Purpose.VERIFY, alive), None):
            swept = await sweep(workshop.url, "live", Purpose.VERIFY)
            left = databases(workshop)
    finally:
        await drop_database(workshop.url, scratch_name("live", Purpose.RESTORE, dead))
        await drop_database(workshop.url, stranger)

    assert swept == [scratch_name("live", Purpose.VERIFY, dead)]
    assert {scratch_name("live", Purpose.VERIFY, alive), scratch_name("live", Purpose.RESTORE, dead), stranger} <= left


def test_long_names_stay_apart_when_they_are_cut() -> None:
    run_id = new_id()
    one, other = (scratch_name("ü" * 40 + end, Purpose.RESTORE, run_id) for end in "ab")

    assert one != other
    assert len(one.encode()) <= 63
    assert one.endswith("_restore_" + run_id.hex[-12:])
