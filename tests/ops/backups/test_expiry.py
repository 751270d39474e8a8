"""Backups that retention or somebody lets go: on record, in the trail and on the disk."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from app.db.models import Backup
from app.db.queries import backups
from app.domain.backup_retention import Reason
from app.domain.backups import BackupNotFound, BackupPinned, BackupStatus, LastGoodBackup, manifest_name
from app.domain.maintenance import BackupOptions, PruneOptions
from app.domain.permissions import COMMAND_LINE
from app.domain.runs import RunKind, RunTrigger, RunUnderWay
from app.domain.verifications import verification_name
from app.ops.backups import expiry
from app.ops.backups.backup import backup
from app.ops.backups.expiry import Place
from app.services import runs
from app.services.runs import RequestRun
from tests.factories.backups import make_backup
from tests.ops.maintenance.workshop import NOW, Workshop

TRAIL = "SELECT event, subject_id::text, data->>'reason' FROM audit_events WHERE event = 'backup.deleted' ORDER BY id"


def place_of(workshop: Workshop) -> Place:
    """Where expiry works on the test's database."""
    bench = workshop.bench
    return Place(bench.database, bench.settings, COMMAND_LINE, NOW)


async def put(workshop: Workshop, days: int, status: BackupStatus = BackupStatus.VERIFIED, **others: Any) -> Backup:
    """A backup so many days old, with its files."""
    async with workshop.bench.database.transaction() as tx:
        made = await make_backup(tx, NOW - timedelta(days=days), status, bytes=len("content"), **others)
    folder = workshop.bench.settings.backup_dir
    folder.mkdir(exist_ok=True)
    for path in files_of(workshop, made):
        path.write_text("content")
    return made


def files_of(workshop: Workshop, made: Backup) -> list[Path]:
    """The backup's file and manifest."""
    assert made.file_name is not None
    folder = workshop.bench.settings.backup_dir
    return [folder / made.file_name, folder / manifest_name(made.file_name)]


async def read(workshop: Workshop, backup_id: UUID) -> Backup:
    """The row as it is now."""
    async with workshop.bench.database.transaction() as tx:
        return await backups.get_backup(tx, backup_id)


async def test_what_goes_is_marked_told_and_deleted_and_a_dry_run_tells_the_same(workshop: Workshop) -> None:
    made = [await put(workshop, days) for days in (1, 2, 3, 40, 50)] + [await put(workshop, 60, is_pinned=True)]
    foreseen = await expiry.preview(place_of(workshop))
    assert workshop.sql(TRAIL) == []

    done = await expiry.expire(place_of(workshop))

    gone = {made[3].id, made[4].id}
    assert {one.id for one in done.gone} == {one.id for one in foreseen.gone} == gone
    assert {one.id for one in done.kept} == {one.id for one in foreseen.kept} == {one.id for one in made} - gone
    for one in made:
        row = await read(workshop, one.id)
        assert (row.status == BackupStatus.EXPIRED, row.expired_at == NOW, row.stores == []) == ((one.id in gone),) * 3
        assert [path.exists() for path in files_of(workshop, one)] == [one.id not in gone] * 2
    told = {(event, subject, reason) for event, subject, reason in workshop.sql(TRAIL)}
    assert told == {("backup.deleted", str(key), "it is older than what is kept") for key in gone}
    assert (await expiry.expire(place_of(workshop))).gone == []


async def test_what_is_only_on_record_lets_nothing_go_and_is_not_deleted_unseen(workshop: Workshop) -> None:
    cut_off, gone, seen, old = [await put(workshop, days) for days in (1, 2, 40, 50)]
    files_of(workshop, cut_off)[0].write_text("cut")
    files_of(workshop, gone)[0].unlink()
    nowhere = await put(workshop, 60)
    files_of(workshop, nowhere)[0].unlink()

    done = await expiry.expire(place_of(workshop))

    assert done.gone == []
    reasons = {one.id: one.reason for one in done.kept}
    assert [reasons[one.id] for one in (cut_off, gone)] == [Reason.RECENT] * 2
    assert [reasons[one.id] for one in (seen, old)] == [Reason.MINIMUM] * 2
    assert reasons[nowhere.id] is Reason.UNSEEN


async def test_a_folder_that_is_not_mounted_costs_no_backup(workshop: Workshop) -> None:
    made = [await put(workshop, days) for days in (40, 50, 60, 70, 80)]
    folder = workshop.bench.settings.backup_dir
    folder.rename(folder.with_name("elsewhere"))

    assert (await expiry.expire(place_of(workshop))).gone == []

    folder.with_name("elsewhere").rename(folder)
    assert {(await read(workshop, one.id)).status for one in made} == {BackupStatus.VERIFIED}
    assert len((await expiry.expire(place_of(workshop))).gone) == 2


async def test_the_last_one_whose_file_is_there_is_not_deleted_on_request(workshop: Workshop) -> None:
    gone, last = await put(workshop, 1), await put(workshop, 2)
    files_of(workshop, gone)[0].unlink()

    with pytest.raises(LastGoodBackup):
        await expiry.delete(place_of(workshop), last.id)

    assert files_of(workshop, last)[0].exists()


async def test_the_note_of_a_trial_goes_with_the_backup(workshop: Workshop) -> None:
    for days in (1, 2, 3):
        await put(workshop, days)
    old = await put(workshop, 40)
    assert old.file_name is not None
    note = workshop.bench.settings.backup_dir / verification_name(old.file_name)
    note.write_text("a note")

    await expiry.expire(place_of(workshop))

    assert not note.exists()


async def test_files_that_a_store_keeps_are_remembered_and_deleted_the_next_time(workshop: Workshop) -> None:
    for days in (1, 2, 3):
        await put(workshop, days)
    old = await put(workshop, 40)
    manifest = files_of(workshop, old)[1]
    manifest.unlink()
    manifest.mkdir()  # what can't be deleted as a file, also by root

    [gone] = (await expiry.expire(place_of(workshop))).gone

    assert (gone.id, gone.left_in) == (old.id, ["local"])
    row = await read(workshop, old.id)
    assert (row.status, row.stores) == (BackupStatus.EXPIRED, ["local"])
    manifest.rmdir()
    assert (await expiry.expire(place_of(workshop))).gone == []
    assert not files_of(workshop, old)[0].exists()
    assert (await read(workshop, old.id)).stores == []


async def test_files_in_a_store_that_the_settings_forgot_are_told_not_forgotten(workshop: Workshop) -> None:
    for days in (1, 2, 3):
        await put(workshop, days)
    old = await put(workshop, 100, stores=["local", "s3"])
    settings = workshop.bench.settings.model_copy(update={"backup_s3_url": None})

    [gone] = (await expiry.expire(replace(place_of(workshop), settings=settings))).gone

    assert (gone.id, gone.left_in, (await read(workshop, old.id)).stores) == (old.id, ["s3"], ["s3"])


async def test_nothing_is_deleted_while_another_run_may_read_it(workshop: Workshop) -> None:
    for days in (1, 2, 3, 40):
        await put(workshop, days)
    old = await put(workshop, 41)
    async with workshop.bench.database.transaction() as tx:
        wish = RequestRun(RunKind.BACKUP, BackupOptions(), RunTrigger.REQUEST)
        run = await runs.request(tx, COMMAND_LINE, wish, now=NOW)

    with pytest.raises(RunUnderWay):
        await expiry.expire(place_of(workshop))
    with pytest.raises(RunUnderWay):
        await expiry.delete(place_of(workshop), old.id)
    assert workshop.sql(TRAIL) == []

    assert len((await expiry.expire(replace(place_of(workshop), run_id=run.id))).gone) == 2


async def test_a_run_on_tables_is_in_nobodys_way(workshop: Workshop) -> None:
    for days in (1, 2, 3, 40):
        await put(workshop, days)
    async with workshop.bench.database.transaction() as tx:
        await runs.request(tx, COMMAND_LINE, RequestRun(RunKind.PRUNE, PruneOptions(), RunTrigger.REQUEST), now=NOW)

    assert len((await expiry.expire(place_of(workshop))).gone) == 1


async def test_a_pinned_one_and_the_last_good_one_are_not_deleted_on_request(workshop: Workshop) -> None:
    pinned = await put(workshop, 1, BackupStatus.STORED, is_pinned=True)
    verified = await put(workshop, 40)
    stored = await put(workshop, 2, BackupStatus.STORED)

    for one, refusal in ((pinned, BackupPinned), (verified, LastGoodBackup)):
        with pytest.raises(refusal):
            await expiry.delete(place_of(workshop), one.id)
    with pytest.raises(BackupNotFound):
        await expiry.delete(place_of(workshop), uuid4())
    deleted = await expiry.delete(place_of(workshop), stored.id)

    assert (deleted.id, deleted.left_in) == (stored.id, [])
    assert (await expiry.delete(place_of(workshop), stored.id)).left_in == []
    assert [path.exists() for one in (pinned, verified, stored) for path in files_of(workshop, one)] == [
        *(True, True, True, True, False, False),
    ]
    assert [reason for *_, reason in workshop.sql(TRAIL)] == ["it was asked for"]


async def test_a_backup_that_was_stored_lets_old_ones_go_and_one_that_failed_does_not(workshop: Workshop) -> None:
    for days in (1, 2, 3):
        await put(workshop, days)
    old = await put(workshop, 40)
    workshop.sql("ALTER TABLE alembic_version RENAME TO mislaid")

    with pytest.raises(psycopg.errors.UndefinedTable):
        await backup(workshop.bench, BackupOptions())
    assert (await read(workshop, old.id)).status == BackupStatus.VERIFIED

    workshop.sql("ALTER TABLE mislaid RENAME TO alembic_version")
    outcome = await backup(workshop.bench, BackupOptions())

    assert [one["backup"] for one in outcome.result["expired"]] == [str(old.id)]
    assert (await read(workshop, old.id)).status == BackupStatus.EXPIRED
