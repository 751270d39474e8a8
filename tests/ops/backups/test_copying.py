"""Copies in a bucket: made after the backup, checked, caught up on, and never in the backup's way."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from pathlib import Path

import pytest

from app.db.workbench import Workbench
from app.domain.backups import BackupFileMissing, BackupRefused, BackupStatus, BackupUnavailable, StoreName
from app.domain.maintenance import BackupOptions
from app.domain.runs import Progress, RunStatus
from app.ops.backups.backup import backup
from app.ops.backups.copying import copy_out
from app.ops.backups.pipes import DamagedFile
from app.ops.backups.reading import check_copy, find_store, open_backup_file
from app.ops.backups.stores import LocalStore, open_stores
from tests.ops.backups.copies import bench_with, make_content, make_manifest, put_backup, read_row
from tests.ops.maintenance.workshop import Workshop
from tests.s3 import SETTINGS, LiveS3, silent_server

CONTENT = make_content(12_000_000)


async def test_a_backup_is_copied_with_its_manifest_and_the_catalog_says_so(bench: Workbench, s3: LiveS3) -> None:
    outcome = await backup(bench, BackupOptions())

    row = await read_row(bench, outcome.result["backup"])
    assert outcome.status is RunStatus.SUCCEEDED
    assert outcome.result["stores"] == row.stores == ["local", "s3"]
    folder = bench.settings.backup_dir
    assert s3.names() == sorted(one.name for one in folder.iterdir())
    assert all(s3.read(name) == (folder / name).read_bytes() for name in s3.names())


async def test_older_backups_that_are_missing_there_are_copied_too(
    workshop: Workshop, bench: Workbench, s3: LiveS3
) -> None:
    old = [await put_backup(bench, make_content(1000 + n), age_days=n) for n in range(1, 4)]
    gone = await put_backup(bench, b"gone", age_days=9)
    (bench.settings.backup_dir / gone.file_name).unlink()
    new = await put_backup(bench, CONTENT)

    places, warnings = await copy_out(bench, new)

    assert places == [StoreName.LOCAL, StoreName.S3]
    assert [f"The backup {gone.id} can't be copied" in warning for warning in warnings] == [True]
    assert len(s3.names()) == 8
    for manifest in (*old, new):
        assert (await read_row(bench, manifest.id)).stores == ["local", "s3"]
    copied = [told.object_name for told in workshop.told if told.phase == "copying"]
    assert list(dict.fromkeys(copied)) == [one.file_name for one in (new, *old)]


async def test_a_bucket_that_is_away_makes_a_warning_and_the_next_backup_catches_up(
    workshop: Workshop, s3: LiveS3
) -> None:
    away = bench_with(workshop.bench, **{**s3.settings, "backup_s3_endpoint": "http://127.0.0.1:1"})

    outcome = await backup(away, BackupOptions())

    assert outcome.status is RunStatus.SUCCEEDED_WITH_WARNINGS
    assert outcome.result["stores"] == ["local"]
    assert "nobody answers at its address" in outcome.warnings[0]
    back = bench_with(workshop.bench, **s3.settings)
    again = await backup(back, BackupOptions())
    assert again.status is RunStatus.SUCCEEDED
    assert (await read_row(back, outcome.result["backup"])).stores == ["local", "s3"]
    assert len(s3.names()) == 4


async def test_a_file_that_was_damaged_here_is_not_copied(bench: Workbench, s3: LiveS3) -> None:
    manifest = await put_backup(bench, CONTENT)
    _flip(bench.settings.backup_dir / manifest.file_name)

    places, warnings = await copy_out(bench, manifest)

    assert places == [StoreName.LOCAL]
    assert ["has another SHA-256" in one for one in warnings] == [True]
    assert s3.names() == []
    assert s3.uploads() == []
    assert (await read_row(bench, manifest.id)).stores == ["local"]


async def test_a_bucket_that_goes_away_in_the_midst_makes_a_warning(workshop: Workshop, s3: LiveS3) -> None:
    bench = bench_with(workshop.bench, **s3.settings)
    manifest = await put_backup(bench, make_content(60_000_000))

    def go_away(progress: Progress) -> None:
        if progress.object_percent and progress.object_percent > 50:
            s3.stop()

    places, warnings = await copy_out(replace(bench, tell=go_away), manifest)

    assert places == [StoreName.LOCAL]
    assert ["BACKUP_S3_URL" in one and "next backup tries again" in one for one in warnings] == [True]
    assert (await read_row(bench, manifest.id)).stores == ["local"]


async def test_copying_can_be_stopped_in_the_midst_and_leaves_nothing(workshop: Workshop, s3: LiveS3) -> None:
    bench = bench_with(workshop.bench, **s3.settings)
    manifest = await put_backup(bench, make_content(60_000_000))
    has_begun, loop = asyncio.Event(), asyncio.get_running_loop()

    def tell(progress: Progress) -> None:
        loop.call_soon_threadsafe(has_begun.set)

    bench = replace(bench, tell=tell)
    task = asyncio.create_task(copy_out(bench, manifest))
    await has_begun.wait()

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert s3.names() == []
    assert s3.uploads() == []


async def test_a_silent_bucket_does_not_keep_who_stops_it(workshop: Workshop) -> None:
    with silent_server() as endpoint:
        bench = bench_with(workshop.bench, backup_s3_url="s3://acme", backup_s3_endpoint=endpoint, **SETTINGS)
        manifest = await put_backup(bench, b"small")
        task = asyncio.create_task(copy_out(bench, manifest))
        await asyncio.wait({task}, timeout=0.3)
        task.cancel()
        await asyncio.wait({task}, timeout=0.2)
        task.cancel()
        await asyncio.wait({task}, timeout=2)

        assert task.done()


async def test_what_was_deleted_while_it_was_copied_goes_there_too(bench: Workbench, s3: LiveS3) -> None:
    manifest = await put_backup(bench, CONTENT)
    async with bench.database.transaction() as tx:
        row = await tx.merge(await read_row(bench, manifest.id))
        row.status = BackupStatus.EXPIRED

    await copy_out(bench, manifest)

    assert s3.names() == []


async def test_files_are_read_from_the_store_that_has_them_whole(bench: Workbench, s3: LiveS3) -> None:
    manifest = await put_backup(bench, CONTENT)
    await copy_out(bench, manifest)
    stores = open_stores(bench.settings)
    local = bench.settings.backup_dir / manifest.file_name

    assert find_store(stores, manifest).name is StoreName.LOCAL
    assert find_store(stores, manifest, prefer=StoreName.S3).name is StoreName.S3
    local.write_bytes(CONTENT[:-1])
    assert find_store(stores, manifest).name is StoreName.S3
    with open_backup_file(stores, manifest) as file:
        assert b"".join(iter(lambda: file.read(500_000), b"")) == CONTENT
    s3.remove(manifest.file_name)
    with pytest.raises(DamagedFile, match="has 11999999 bytes instead of 12000000"):
        find_store(stores, manifest)
    local.unlink()
    with pytest.raises(BackupFileMissing):
        find_store(stores, manifest)


async def test_a_flipped_bit_is_found_in_either_store_before_the_last_piece_is_given(
    bench: Workbench, s3: LiveS3
) -> None:
    manifest = await put_backup(bench, CONTENT)
    await copy_out(bench, manifest)
    stores = open_stores(bench.settings)
    for store in stores.values():
        check_copy(store, manifest)
    s3.write(manifest.file_name, bytes([CONTENT[0] ^ 1]) + CONTENT[1:])
    _flip(bench.settings.backup_dir / manifest.file_name)

    for store in stores.values():
        with pytest.raises(DamagedFile, match="has another SHA-256"):
            check_copy(store, manifest)
    given = io.BytesIO()
    with open_backup_file(stores, manifest, prefer=StoreName.S3) as file, pytest.raises(DamagedFile):
        while piece := file.read(100_000):
            given.write(piece)
    assert given.tell() < manifest.bytes


async def test_a_bucket_that_ends_in_the_midst_of_reading_is_told(bench: Workbench, s3: LiveS3) -> None:
    manifest = await put_backup(bench, CONTENT)
    await copy_out(bench, manifest)

    with open_backup_file(open_stores(bench.settings), manifest, prefer=StoreName.S3) as file:
        file.read(100_000)
        s3.remove(manifest.file_name)
        with pytest.raises((BackupUnavailable, BackupFileMissing)):
            while file.read(1_000_000):
                pass


def test_names_lead_nowhere_else(tmp_path: Path, workshop: Workshop) -> None:
    store = LocalStore(tmp_path)
    (tmp_path / "secret").write_bytes(b"1234")
    manifest = make_manifest(workshop.bench.vault, b"1234", file_name="../secret")

    with pytest.raises(BackupRefused, match="names a file that is not its own"):
        open_backup_file({StoreName.LOCAL: store}, manifest)


def _flip(file: Path) -> None:
    with file.open("r+b") as opened:
        first = opened.read(1)
        opened.seek(0)
        opened.write(bytes([first[0] ^ 1]))
