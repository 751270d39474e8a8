"""Rescan: the catalog from the stores alone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import cast
from uuid import uuid4

import psycopg

from app.db.engine import Database
from app.db.session import Session
from app.db.workbench import Workbench
from app.domain.backups import BackupStatus, StoreName
from app.domain.verifications import Verification
from app.ops.backups.copying import copy_out
from app.ops.backups.inventory import write_verification
from app.ops.backups.rescan import GONE, Rescan, rescan
from app.ops.backups.stores import delete_copy, open_stores
from app.vault import Vault, make_key
from tests.ops.backups.copies import make_content, make_manifest, put_backup, read_row
from tests.ops.maintenance.workshop import NOW, Workshop
from tests.s3 import LiveS3

CONTENT = make_content(70_000)


async def _rescan(bench: Workbench) -> Rescan:
    return await rescan(bench.database, bench.settings, bench.vault, bench.asker, now=NOW)


class Meanwhile:
    """A database in which others do something between the first transaction and the second."""

    def __init__(self, database: Database, do: Callable[[], object]) -> None:
        self._database = database
        self._do = do
        self._begun = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Session]:
        """One of the database's."""
        self._begun += 1
        if self._begun == 2:
            self._do()
        async with self._database.transaction() as tx:
            yield tx


def _forget(workshop: Workshop) -> None:
    workshop.sql("DELETE FROM backups")


async def test_a_lost_catalog_is_made_again_from_the_bucket_alone(
    workshop: Workshop, bench: Workbench, s3: LiveS3
) -> None:
    manifests = [await put_backup(bench, make_content(100 + n), age_days=n) for n in range(3)]
    await copy_out(bench, manifests[0])
    _forget(workshop)
    for file in bench.settings.backup_dir.iterdir():
        file.unlink()

    done = await _rescan(bench)

    assert sorted(done.found) == sorted(one.id for one in manifests)
    assert (done.moved, done.gone, done.refused, done.problems) == ([], [], [], [])
    row = await read_row(bench, manifests[1].id)
    assert (row.status, row.stores, row.bytes) == (BackupStatus.STORED, ["s3"], 101)
    assert (row.manifest, row.created_at) == (manifests[1].as_document(), manifests[1].created_at)
    told = workshop.sql("SELECT subject_id FROM audit_events WHERE event = 'backup.found'")
    assert sorted(told) == sorted((str(one.id),) for one in manifests)
    again = await _rescan(bench)
    assert (again.known, again.found) == (3, [])


async def test_what_a_signed_note_says_is_verified_and_nothing_else_is(workshop: Workshop, bench: Workbench) -> None:
    proven, forged, swapped = [await put_backup(bench, make_content(200 + n), is_on_record=False) for n in range(3)]
    stores = list(open_stores(bench.settings).values())[:1]
    note = Verification(proven.id, proven.sha256, NOW, 12.5)
    write_verification(stores, proven, note, bench.vault)
    write_verification(stores, forged, replace(note, backup_id=forged.id, sha256=forged.sha256), Vault((make_key(),)))
    write_verification(stores, swapped, note, bench.vault)

    await _rescan(bench)

    row = await read_row(bench, proven.id)
    assert (row.status, row.verified_at, row.recovery_seconds) == (BackupStatus.VERIFIED, NOW, 12.5)
    assert (await read_row(bench, forged.id)).status == BackupStatus.STORED
    assert (await read_row(bench, swapped.id)).status == BackupStatus.STORED


async def test_backups_whose_files_are_gone_are_failed_and_come_back_with_them(
    workshop: Workshop, bench: Workbench, s3: LiveS3
) -> None:
    manifest = await put_backup(bench, CONTENT)
    await copy_out(bench, manifest)
    folder = bench.settings.backup_dir
    (folder / manifest.file_name).rename(folder.parent / "aside")

    moved = await _rescan(bench)
    assert (moved.moved, (await read_row(bench, manifest.id)).stores) == ([manifest.id], ["s3"])

    s3.remove(manifest.file_name)
    gone = await _rescan(bench)
    row = await read_row(bench, manifest.id)
    assert gone.gone == [manifest.id]
    assert (row.status, row.failure, row.stores) == (BackupStatus.FAILED, GONE, [])

    (folder.parent / "aside").rename(folder / manifest.file_name)
    back = await _rescan(bench)
    row = await read_row(bench, manifest.id)
    assert back.found == [manifest.id]
    assert (row.status, row.failure, row.stores) == (BackupStatus.STORED, None, ["local"])


async def test_a_folder_or_a_bucket_without_any_backup_condemns_none(bench: Workbench, s3: LiveS3) -> None:
    here = await put_backup(bench, CONTENT)
    await copy_out(bench, here)
    for file in bench.settings.backup_dir.iterdir():
        file.unlink()
    for name in s3.names():
        s3.remove(name)

    done = await _rescan(bench)

    assert (done.gone, done.moved, done.known) == ([], [], 1)
    assert ["is it mounted" in problem for problem in done.problems] == [True, True]
    row = await read_row(bench, here.id)
    assert (row.status, row.stores) == (BackupStatus.STORED, ["local", "s3"])


async def test_what_is_stored_while_the_stores_are_looked_at_is_not_condemned(
    workshop: Workshop, bench: Workbench
) -> None:
    copied = await put_backup(bench, CONTENT)
    made, begun = make_manifest(bench.vault, b"made"), make_manifest(bench.vault, b"begun")
    columns = "INSERT INTO backups (id, tool, status, created_at, file_name, stores) VALUES"
    workshop.sql(f"{columns} ('{made.id}', 'license-server', 'running', now(), NULL, '{{}}')")
    meanwhile = (
        f"UPDATE backups SET stores = '{{local,s3}}' WHERE id = '{copied.id}'",
        f"UPDATE backups SET status = 'stored', file_name = 'a', stores = '{{local}}' WHERE id = '{made.id}'",
        f"{columns} ('{begun.id}', 'license-server', 'stored', now(), 'b', '{{local}}')",
    )
    database = cast(Database, Meanwhile(bench.database, lambda: workshop.sql(*meanwhile)))

    done = await rescan(database, bench.settings, bench.vault, bench.asker, now=NOW)

    assert (done.gone, done.moved) == ([], [])
    rows = [await read_row(bench, one.id) for one in (copied, made, begun)]
    assert [row.status for row in rows] == [BackupStatus.STORED] * 3
    assert rows[0].stores == ["local", "s3"]


async def test_a_store_that_does_not_answer_changes_nothing(bench: Workbench) -> None:
    manifest = await put_backup(bench, CONTENT)
    await copy_out(bench, manifest)
    (bench.settings.backup_dir / manifest.file_name).unlink()
    away = bench.settings.model_copy(update={"backup_s3_endpoint": "http://127.0.0.1:1"})

    done = await _rescan(replace(bench, settings=away))

    assert [problem.startswith("BACKUP_S3_URL") for problem in done.problems] == [True]
    row = await read_row(bench, manifest.id)
    assert (row.status, row.stores) == (BackupStatus.STORED, ["s3"])


async def test_what_is_not_ours_or_not_whole_is_told_and_not_taken(workshop: Workshop, bench: Workbench) -> None:
    folder = bench.settings.backup_dir
    good = await put_backup(bench, CONTENT, is_on_record=False)
    foreign = make_manifest(Vault((make_key(),)), b"1234")
    changed = replace(make_manifest(bench.vault, b"1234"), raw_bytes=1)
    cut_off = make_manifest(bench.vault, b"12345")
    without = make_manifest(bench.vault, b"1234")
    elsewhere = make_manifest(bench.vault, b"1234", file_name="../../etc/passwd")
    for one in (foreign, changed, cut_off):
        (folder / one.file_name).write_bytes(b"1234")
    for one in (foreign, changed, cut_off, without):
        (folder / one.name).write_text(one.as_text())
    (folder / "backup-elsewhere.manifest.json").write_text(elsewhere.as_text())
    (folder / "backup-copied.manifest.json").write_text(good.as_text())
    other = {**good.as_document(), "product": "another-product"}
    (folder / "backup-other.manifest.json").write_text(json.dumps(other))
    (folder / "backup-nonsense.manifest.json").write_bytes(b"[" * 100_000)
    (folder / "backup-binary.manifest.json").write_bytes(b"\xff\xfe")
    (folder / "backup-list.manifest.json").write_text("[]")
    (folder / "backup-20260101T000000Z-0123456789ab.dump.zst").write_bytes(b"alone")
    (folder / "configuration.age").write_bytes(b"not a backup's file")

    done = await _rescan(bench)

    assert done.found == [good.id]
    reasons = {one.location.rpartition("/")[2]: one.reason for one in done.refused}
    assert len(reasons) == 11
    assert "not signed" in reasons[foreign.name]
    assert "not signed" in reasons[changed.name]
    assert "has 4 bytes instead of 5" in reasons[cut_off.name]
    assert "is missing" in reasons[without.name]
    assert "not its own" in reasons["backup-elsewhere.manifest.json"]
    assert "another one's manifest" in reasons["backup-copied.manifest.json"]
    assert "another-product" in reasons["backup-other.manifest.json"]
    assert reasons["backup-nonsense.manifest.json"] == "It is no JSON."
    assert "is no text" in reasons["backup-binary.manifest.json"]
    assert "no JSON object" in reasons["backup-list.manifest.json"]
    assert "no manifest beside it" in reasons["backup-20260101T000000Z-0123456789ab.dump.zst"]


async def test_of_two_manifests_of_one_id_neither_is_taken(workshop: Workshop, bench: Workbench, s3: LiveS3) -> None:
    here = await put_backup(bench, CONTENT, is_on_record=False)
    there = make_manifest(bench.vault, b"1234", backup_id=here.id)
    s3.write(there.file_name, b"1234")
    s3.write(there.name, there.as_text().encode())

    done = await _rescan(bench)

    assert done.found == []
    assert ["they differ" in one.reason for one in done.refused] == [True, True]


async def test_what_was_deleted_or_found_damaged_does_not_come_back(workshop: Workshop, bench: Workbench) -> None:
    deleted, damaged = await put_backup(bench, b"12"), await put_backup(bench, b"34")
    workshop.sql(
        f"UPDATE backups SET status = 'expired', stores = '{{}}' WHERE id = '{deleted.id}'",
        f"UPDATE backups SET status = 'failed', failure = 'It is damaged.' WHERE id = '{damaged.id}'",
    )

    done = await _rescan(bench)

    assert done.found == []
    assert ["deleted" in one.reason for one in done.refused] == [True]
    assert (await read_row(bench, deleted.id)).status == BackupStatus.EXPIRED
    assert (await read_row(bench, damaged.id)).status == BackupStatus.FAILED


async def test_backups_of_other_tools_and_those_under_way_are_left_alone(workshop: Workshop, bench: Workbench) -> None:
    reported, running = uuid4(), uuid4()
    with psycopg.connect(workshop.url) as connection:
        connection.execute(
            "INSERT INTO backups (id, tool, status, created_at) VALUES (%s, 'pgbackrest', 'stored', now()),"
            " (%s, 'license-server', 'running', now())",
            (reported, running),
        )

    done = await _rescan(bench)

    assert done == Rescan()
    assert (await read_row(bench, reported)).status == BackupStatus.STORED
    assert (await read_row(bench, running)).status == BackupStatus.RUNNING


async def test_a_deleted_copy_leaves_nothing(bench: Workbench, s3: LiveS3) -> None:
    manifest = await put_backup(bench, CONTENT)
    await copy_out(bench, manifest)
    stores = open_stores(bench.settings)
    write_verification(stores.values(), manifest, Verification(manifest.id, manifest.sha256, NOW, 1.0), bench.vault)

    for store in stores.values():
        delete_copy(store, manifest.file_name)

    assert {name: store.list_names() for name, store in stores.items()} == {StoreName.LOCAL: [], StoreName.S3: []}
