"""A backup is verified by what is found in it, condemned by what is wrong with it, and else left as it was."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from app.db.direct import direct_connection
from app.db.models import Backup
from app.db.models.base import new_id
from app.db.queries import backups
from app.db.scratch import address_of
from app.domain.backups import (
    BackupKeyMissing,
    BackupNotFound,
    BackupRefused,
    BackupStateConflict,
    BackupStatus,
    BackupTooNew,
    Manifest,
    ScratchDatabaseRefused,
    manifest_name,
    read_manifest,
)
from app.domain.errors import DatabaseUnavailable
from app.domain.maintenance import BackupOptions, VerifyOptions
from app.domain.permissions import COMMAND_LINE
from app.domain.runs import Outcome, Progress
from app.ops.audit_chain import find_faults, seal
from app.ops.backups.backup import backup
from app.ops.backups.pipes import DamagedFile
from app.ops.backups.scratch import NoRoom, Purpose, make_database, scratch_name
from app.ops.backups.verify import clean_up, verify
from app.services import licenses
from app.services.licenses import IssueLicense
from app.vault import Vault, make_key
from tests.conftest import ENCRYPTION_KEY, make_settings
from tests.db.old_postgres import OldPostgres, find_old_postgres
from tests.db.roles import as_role
from tests.factories.store import make_organization
from tests.ops.backups.test_examination import databases
from tests.ops.maintenance.workshop import NOW, Workshop
from tests.s3 import LiveS3


async def make_backup(workshop: Workshop) -> tuple[Path, str]:
    """The file of a new backup, and its id."""
    outcome = await backup(workshop.bench, BackupOptions())
    return workshop.bench.settings.backup_dir / outcome.result["fileName"], outcome.result["backup"]


async def try_out(workshop: Workshop, backup_id: str = "") -> Outcome:
    """Verify a backup, the newest when none is named."""
    return await verify(workshop.bench, VerifyOptions(backup_id), verify_chain=find_faults)


async def row(workshop: Workshop) -> Backup:
    """The newest backup as the catalog has it."""
    async with workshop.bench.database.transaction() as tx:
        return (await backups.list_backups(tx, status=None, before=None, limit=1))[0]


def actions(workshop: Workshop) -> list[str]:
    """What the audit trail tells of backups, in order."""
    rows = workshop.sql("SELECT event FROM audit_events WHERE event LIKE 'backup.%' ORDER BY id")
    return [action for (action,) in rows]


def rewrite_manifest(file: Path, change: Callable[[Manifest], Manifest], signer: Vault | None) -> None:
    """Put a changed manifest beside a file, signed anew or with the signature that it had."""
    path = file.parent / manifest_name(file.name)
    changed = change(read_manifest(json.loads(path.read_text())))
    if signer is not None:
        changed = replace(changed, signature=signer.sign(changed.unsigned_text()))
    path.write_text(changed.as_text())


async def test_a_backup_is_verified_by_a_restore_that_leaves_nothing_behind(workshop: Workshop) -> None:
    async with workshop.bench.database.transaction() as tx:
        wish = IssueLicense((await make_organization(tx)).id, "UNLIMITED")
        await licenses.issue(tx, COMMAND_LINE, workshop.bench.vault, wish, now=NOW)
    await seal(workshop.bench.database, workshop.bench.vault, now=NOW)
    before = databases(workshop)
    await make_backup(workshop)

    found = await try_out(workshop)

    backup = await row(workshop)
    assert (backup.status, backup.verified_at, backup.failure) == (BackupStatus.VERIFIED, NOW, None)
    assert backup.recovery_seconds == found.result["recoverySeconds"] > 0
    assert found.failure is None
    assert found.result["stores"] == {"local": "whole"}
    details = {check["name"]: check["detail"] for check in found.result["checks"]}
    assert details["license"] == "A license was validated: VALID."
    assert details["keys"] == "2 encrypted values were opened."
    assert details["amcheck"] == "Every page of tables and indexes is sound."
    assert actions(workshop) == ["backup.stored", "backup.verified"]
    assert databases(workshop) == before
    assert workshop.told[-1].percent > 90


def cut_off(file: Path) -> None:
    """Leave half of the file."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip_bit(file: Path) -> None:
    """Change one bit in the midst of the file."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))


def flip_bit_and_hash_anew(file: Path) -> None:
    """The same, by somebody who mends the manifest and has no key."""
    flip_bit(file)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    rewrite_manifest(file, lambda manifest: replace(manifest, sha256=sha256), None)


def flip_bit_and_sign_anew(file: Path) -> None:
    """The same, with the key."""
    flip_bit(file)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    rewrite_manifest(file, lambda manifest: replace(manifest, sha256=sha256), Vault((ENCRYPTION_KEY,)))


def spoil_manifest(file: Path) -> None:
    """Leave no JSON beside the file."""
    (file.parent / manifest_name(file.name)).write_text("{")


def of_another_product(file: Path) -> None:
    """The manifest of something else."""
    path = file.parent / manifest_name(file.name)
    path.write_text(path.read_text().replace("itechsmart-license-server", "somebody-else"))


def swap_manifest(file: Path) -> None:
    """The manifest of another backup of ours."""
    rewrite_manifest(file, lambda manifest: replace(manifest, id=new_id()), Vault((ENCRYPTION_KEY,)))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut_off, "it was cut off or replaced"),
        (flip_bit, "has another SHA-256 than when it was written"),
        (flip_bit_and_hash_anew, "not signed with a key of ours"),
        (flip_bit_and_sign_anew, ""),
        (spoil_manifest, "is no JSON"),
        (of_another_product, "but of somebody-else"),
        (swap_manifest, "is the manifest of another backup"),
        (Path.unlink, "is missing"),
    ],
)
async def test_a_backup_whose_file_is_not_what_it_was_is_condemned(
    workshop: Workshop, damage: Callable[[Path], None], said: str
) -> None:
    file, _ = await make_backup(workshop)
    before = databases(workshop)
    await asyncio.to_thread(damage, file)

    with pytest.raises(BackupRefused) as refused:
        await try_out(workshop)

    backup = await row(workshop)
    assert said in refused.value.message
    assert (backup.status, backup.failure) == (BackupStatus.FAILED, refused.value.message)
    assert actions(workshop) == ["backup.stored", "backup.damaged"]
    assert databases(workshop) == before


async def test_a_dump_of_an_older_moment_under_a_newer_manifest_is_condemned_by_its_rows(workshop: Workshop) -> None:
    older, _ = await make_backup(workshop)
    workshop.sql("INSERT INTO products (id, name) SELECT 'p' || n, 'p' || n FROM generate_series(1, 9) n")
    newer, _ = await make_backup(workshop)
    shutil.copyfile(older, newer)
    data = newer.read_bytes()

    def fit(manifest: Manifest) -> Manifest:
        return replace(manifest, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())

    rewrite_manifest(newer, fit, Vault((ENCRYPTION_KEY,)))
    with pytest.raises(DamagedFile, match="products has 0 rows instead of 9"):
        await try_out(workshop)

    assert (await row(workshop)).status == BackupStatus.FAILED


async def test_a_condemned_backup_whose_file_was_mended_is_verified(workshop: Workshop) -> None:
    file, backup_id = await make_backup(workshop)
    whole = file.read_bytes()
    flip_bit(file)
    with pytest.raises(DamagedFile):
        await try_out(workshop)

    file.write_bytes(whole)
    await try_out(workshop, backup_id)

    backup = await row(workshop)
    assert (backup.status, backup.failure) == (BackupStatus.VERIFIED, None)


async def test_what_is_missing_beside_the_backup_says_nothing_about_it(workshop: Workshop) -> None:
    file, backup_id = await make_backup(workshop)
    before = databases(workshop)
    bench = workshop.bench
    stranger = replace(bench, vault=Vault((make_key(),)))
    elsewhere = bench.settings.model_copy(
        update={"verify_database_url": SecretStr("postgresql://nobody@127.0.0.1:1/nothing")}
    )
    newer = Vault((ENCRYPTION_KEY,))

    with pytest.raises(BackupKeyMissing, match="add that key to ENCRYPTION_KEY"):
        await verify(stranger, VerifyOptions(backup_id), verify_chain=find_faults)
    with pytest.raises(DatabaseUnavailable):
        await verify(replace(bench, settings=elsewhere), VerifyOptions(backup_id), verify_chain=find_faults)
    rewrite_manifest(file, lambda manifest: replace(manifest, encrypted_for="age1other"), newer)
    with pytest.raises(BackupKeyMissing, match="BACKUP_ENCRYPTION_KEY"):
        await try_out(workshop)
    rewrite_manifest(file, lambda manifest: replace(manifest, encrypted_for=None, schema_head="9999"), newer)
    with pytest.raises(BackupTooNew, match="update the server first"):
        await try_out(workshop)

    assert (await row(workshop)).status == BackupStatus.STORED
    assert actions(workshop) == ["backup.stored"]
    assert databases(workshop) == before


async def test_too_little_room_refuses_before_anything_is_made(workshop: Workshop) -> None:
    file, _ = await make_backup(workshop)
    embedded = workshop.bench.settings.model_copy(update={"database_url": None})
    rewrite_manifest(file, lambda one: replace(one, database_bytes=2**60), Vault((ENCRYPTION_KEY,)))

    with pytest.raises(NoRoom, match="make room, or set VERIFY_DATABASE_URL"):
        await verify(replace(workshop.bench, settings=embedded), VerifyOptions(), verify_chain=find_faults)

    assert (await row(workshop)).status == BackupStatus.STORED


async def test_only_what_has_a_file_of_ours_can_be_verified(workshop: Workshop) -> None:
    with pytest.raises(BackupNotFound, match="make one"):
        await try_out(workshop)
    with pytest.raises(BackupNotFound):
        await try_out(workshop, str(new_id()))
    _, backup_id = await make_backup(workshop)
    workshop.sql(f"UPDATE backups SET status = 'expired' WHERE id = '{backup_id}'")
    with pytest.raises(BackupStateConflict, match="is expired"):
        await try_out(workshop, backup_id)
    workshop.sql(f"UPDATE backups SET status = 'stored', tool = 'pgbackrest' WHERE id = '{backup_id}'")
    with pytest.raises(BackupStateConflict, match="was made by pgbackrest"):
        await try_out(workshop, backup_id)


async def test_a_trial_that_is_cancelled_leaves_nothing_and_changes_nothing(workshop: Workshop) -> None:
    await make_backup(workshop)
    before = databases(workshop)
    for phase in ("restoring", "analyzing", "examining"):
        has_come = asyncio.Event()
        loop = asyncio.get_running_loop()

        def watch(progress: Progress, phase: str = phase, come: asyncio.Event = has_come, loop: Any = loop) -> None:
            if progress.phase == phase:
                loop.call_soon_threadsafe(come.set)

        bench = replace(workshop.bench, tell=watch)
        task = asyncio.create_task(verify(bench, VerifyOptions(), verify_chain=find_faults))
        async with asyncio.timeout(30):
            await has_come.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        assert databases(workshop) == before
    assert (await row(workshop)).status == BackupStatus.STORED


async def test_a_role_that_may_not_make_databases_is_told_the_statement(workshop: Workshop) -> None:
    await make_backup(workshop)
    workshop.sql("CREATE ROLE plain LOGIN", "GRANT ALL ON ALL TABLES IN SCHEMA public TO plain")
    try:
        url = SecretStr(as_role(workshop.url, "plain"))
        settings = workshop.bench.settings.model_copy(update={"verify_database_url": url})
        bench = replace(workshop.bench, settings=settings)

        with pytest.raises(ScratchDatabaseRefused, match="ALTER ROLE plain CREATEDB"):
            await verify(bench, VerifyOptions(), verify_chain=find_faults)
        workshop.sql("ALTER ROLE plain CREATEDB")
        found = await verify(bench, VerifyOptions(), verify_chain=find_faults)
    finally:
        workshop.sql("DROP OWNED BY plain", "DROP ROLE plain")

    details = {check["name"]: check["detail"] for check in found.result["checks"]}
    assert details["amcheck"] == "Not done: only a superuser may make the extension."


async def test_what_a_killed_trial_has_left_goes_even_while_its_pg_restore_is_in_it(workshop: Workshop) -> None:
    name = scratch_name(workshop.bench.direct.connection.info.dbname, Purpose.VERIFY, workshop.bench.run_id)
    await make_database(workshop.url, name, None)

    async with direct_connection(address_of(workshop.url, name)):
        await clean_up(workshop.bench)

    assert name not in databases(workshop)


@pytest.mark.skipif(not find_old_postgres(), reason="no PostgreSQL 15 here")
async def test_a_trial_on_an_older_server_without_our_roles_and_locale(workshop: Workshop) -> None:
    workshop.sql("CREATE ROLE granted", "GRANT SELECT ON products TO granted")
    try:
        await make_backup(workshop)
        with OldPostgres(find_old_postgres()[0]) as old:
            settings = workshop.bench.settings.model_copy(update={"verify_database_url": SecretStr(old.url)})
            bench = replace(workshop.bench, settings=settings)
            found = await verify(bench, VerifyOptions(), verify_chain=find_faults)
    finally:
        workshop.sql("DROP OWNED BY granted", "DROP ROLE granted")

    assert all(check["ok"] for check in found.result["checks"])
    assert (await row(workshop)).status == BackupStatus.VERIFIED


async def test_of_two_copies_the_whole_one_is_proven_and_the_damaged_one_fails_the_run(
    workshop: Workshop, s3: LiveS3, fresh_database: str
) -> None:
    bench = workshop.bench
    places = make_settings(fresh_database, bench.settings.data_dir, **s3.settings)
    settings = places.model_copy(update={"backup_dir": bench.settings.backup_dir})
    bench = replace(bench, settings=settings)
    outcome = await backup(bench, BackupOptions())
    good = await verify(bench, VerifyOptions(), verify_chain=find_faults)
    name = outcome.result["fileName"]
    await asyncio.to_thread(s3.write, name, s3.read(name)[:-1] + b"x")

    found = await verify(bench, VerifyOptions(), verify_chain=find_faults)

    assert (good.result["store"], good.failure, good.warnings) == ("s3", None, ())
    assert good.result["stores"] == {"s3": "whole", "local": "whole"}
    assert found.result["store"] == "local"
    assert found.failure is not None
    assert "has another SHA-256 than when it was written" in found.failure
    kept = await row(workshop)
    assert (kept.status, kept.failure) == (BackupStatus.VERIFIED, found.failure)
    assert actions(workshop)[-2:] == ["backup.verified", "backup.damaged"]
    assert [one for one in s3.names() if one.endswith(".verified.json")]
