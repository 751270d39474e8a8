"""Verify: a backup is restored on trial into a database of its own, examined there, and only then called verified."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.db.models import Backup
from app.db.queries import backups
from app.db.scratch import read_shape
from app.db.workbench import Workbench
from app.domain.backups import (
    BackupKeyMissing,
    BackupNotFound,
    BackupRefused,
    BackupTooNew,
    BackupUnavailable,
    Manifest,
    StoreName,
    manifest_name,
    require_verifiable,
)
from app.domain.maintenance import VerifyOptions
from app.domain.runs import Outcome, Progress, part_of
from app.domain.verifications import Verification
from app.ops.backups import catalog
from app.ops.backups.contents import RESTED_SHARE
from app.ops.backups.copies import Copy, check_file, identities_for, require_known_schema, require_ours
from app.ops.backups.examination import Examination, VerifyChain, examine
from app.ops.backups.inventory import write_verification
from app.ops.backups.pipes import DamagedFile
from app.ops.backups.programs import ToolFailed
from app.ops.backups.reading import read_manifest_at
from app.ops.backups.scratch import (
    Purpose,
    fill,
    require_may_create,
    require_room,
    scratch_database,
    scratch_name,
    sweep,
)
from app.ops.backups.scratch import clean_up as clean_up_scratch
from app.ops.backups.stores import Store, open_stores

CHECKING_SHARE = 15.0
FILLING_SHARE = 60.0
OTHER_ROOM = "make room, or set VERIFY_DATABASE_URL to another PostgreSQL for trials"

_OF_THE_FILE = re.compile(
    r"COPY failed|duplicate key|could not create unique index|violates|invalid input|invalid byte sequence"
    r"|could not read from input file|unexpected end of file|magic string|corrupt|does not appear to be a valid"
    r"|syntax error|relation .* does not exist|already exists"
)
"""What pg_restore complains of when the file holds what no database could have given."""
_OF_THE_SURROUNDINGS = re.compile(
    r"No space left|could not extend|could not write|out of memory|terminating connection|server closed|connection to"
    r"|shutting down|starting up|recovery mode|permission denied|must be |failed \(-\d+\)"
)
"""What it complains of when something beside the file is in the way."""


@dataclass(slots=True)
class Copies:
    """What was found in the stores: the list of contents of each good copy, and what is wrong with the others."""

    good: dict[StoreName, tuple[Copy, list[str], float]] = field(default_factory=dict)
    faults: dict[StoreName, str] = field(default_factory=dict)
    unseen: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Trial:
    """A restore on trial: from which store, into what, what was found, and how long it took until it answered."""

    store: StoreName
    database: str
    examination: Examination
    recovery_seconds: float


async def verify(bench: Workbench, options: VerifyOptions, *, verify_chain: VerifyChain) -> Outcome:
    """Prove a backup by a restore; the catalog changes by what was found in the backup alone.

    What is in the way beside it (a right, a disk, a server, a key that was not given) fails the run and says nothing
    about the backup.
    """
    backup = await _choose(bench, options)
    url = _trial_url(bench)
    await require_may_create(url)
    await sweep(url, _live(bench), Purpose.VERIFY)
    try:
        copies = await _look_at_copies(bench, backup)
        trial = await _try_out(bench, url, copies, verify_chain)
        _require_good(trial.examination)
    except BackupTooNew:
        raise
    except BackupRefused as error:
        await catalog.condemn(bench, backup.id, error.message)
        raise
    damage = " ".join(copies.faults.values()) or None
    await catalog.prove(bench, backup.id, trial.recovery_seconds, damage)
    warnings = [*copies.unseen, *await asyncio.to_thread(_note, bench, copies, trial)]
    return Outcome(_result(backup, trial, copies), tuple(warnings), damage)


async def clean_up(bench: Workbench) -> None:
    """Drop the database of a trial whose process was killed."""
    await clean_up_scratch(bench, _trial_url(bench), Purpose.VERIFY)


async def _choose(bench: Workbench, options: VerifyOptions) -> Backup:
    async with bench.database.transaction() as tx:
        if options.backup:
            backup = await backups.get_backup(tx, UUID(options.backup))
        else:
            newest = await backups.find_newest_usable(tx)
            if newest is None:
                raise BackupNotFound("There is no backup that could be verified yet: make one, then verify it.")
            backup = newest
    require_verifiable(backup.tool, backup.status, backup.file_name)
    return backup


async def _look_at_copies(bench: Workbench, backup: Backup) -> Copies:
    """Hash and list every copy, the farthest first; raises BackupRefused when none is good."""
    stores, found = open_stores(bench.settings), Copies()
    names = [name for name in reversed(stores) if name in backup.stores]
    found.unseen += [
        f"The copy in {name} was not looked at: this server has no such store."
        for name in backup.stores
        if name not in stores
    ]
    for done, name in enumerate(names):
        bench.tell(Progress(CHECKING_SHARE * done / len(names), "checking", name.value))
        began_at = time.monotonic()
        try:
            copy, entries = await asyncio.to_thread(_look_at, bench, backup, stores[name])
        except (BackupTooNew, BackupKeyMissing):
            raise
        except BackupRefused as error:
            found.faults[name] = error.message
        else:
            found.good[name] = copy, entries, time.monotonic() - began_at
    if not names:
        raise BackupUnavailable(f"No store of this server has the backup: {' '.join(found.unseen)}")
    if not found.good:
        raise DamagedFile(" ".join(found.faults.values()))
    return found


def _look_at(bench: Workbench, backup: Backup, store: Store) -> tuple[Copy, list[str]]:
    """A copy that is what its manifest says, and the list of its contents."""
    manifest = _read_manifest(backup, store)
    require_ours(manifest, bench.vault)
    require_known_schema(manifest)
    copy = Copy(manifest, store, identities_for(manifest, bench.settings.backup_keys()))
    with _told_apart():
        return copy, check_file(copy)


def _read_manifest(backup: Backup, store: Store) -> Manifest:
    name = manifest_name(str(backup.file_name))
    manifest = read_manifest_at(store, name)
    if (manifest.id, manifest.file_name) != (backup.id, backup.file_name):
        raise DamagedFile(f"{store.location(name)} is the manifest of another backup.")
    return manifest


async def _try_out(bench: Workbench, url: str, copies: Copies, verify_chain: VerifyChain) -> Trial:
    name, (copy, entries, checked_seconds) = next(iter(copies.good.items()))
    manifest = copy.manifest
    is_elsewhere = bench.settings.verify_database_url is not None
    if not is_elsewhere:
        require_room(bench.settings, manifest, OTHER_ROOM)
    database = scratch_name(_live(bench), Purpose.VERIFY, bench.run_id)
    began_at = time.monotonic()
    async with scratch_database(url, database, await read_shape(bench.direct)) as scratch_url:
        with _told_apart():
            await fill(scratch_url, copy, entries, part_of(bench.tell, CHECKING_SHARE, FILLING_SHARE))
        filled_at = time.monotonic()
        examination = await examine(
            scratch_url,
            manifest,
            bench.vault,
            bench.now(),
            part_of(bench.tell, FILLING_SHARE, 100.0),
            verify_chain=verify_chain,
            rested_share=0.0 if is_elsewhere else RESTED_SHARE,
        )
    seconds = checked_seconds + (filled_at - began_at) + examination.seconds
    return Trial(name, database, examination, round(seconds, 3))


@contextmanager
def _told_apart() -> Iterator[None]:
    """Tell a file that pg_restore can't read from surroundings in which it could read none."""
    try:
        yield
    except ToolFailed as error:
        if _OF_THE_FILE.search(error.message) and not _OF_THE_SURROUNDINGS.search(error.message):
            raise DamagedFile(error.message) from error
        raise


def _require_good(examination: Examination) -> None:
    if examination.is_good:
        return
    said = " ".join(check.detail for check in examination.faults)
    if examination.is_key_missing:
        raise BackupKeyMissing(f"The backup was restored, and could not be worked with: {said}")
    raise DamagedFile(f"The backup was restored, and is not what was backed up: {said}")


def _note(bench: Workbench, copies: Copies, trial: Trial) -> list[str]:
    """Write beside each good copy that it was proven, for a catalog that is made again; what kept us from it."""
    problems = []
    for copy, _, _ in copies.good.values():
        manifest = copy.manifest
        note = Verification(manifest.id, manifest.sha256, bench.now(), trial.recovery_seconds)
        try:
            write_verification([copy.store], manifest, note, bench.vault)
        except BackupUnavailable as error:
            problems.append(f"The note of the trial could not be written: {error.message}")
    return problems


def _trial_url(bench: Workbench) -> str:
    elsewhere = bench.settings.verify_database_url
    return bench.direct_url if elsewhere is None else elsewhere.get_secret_value()


def _live(bench: Workbench) -> str:
    return bench.direct.connection.info.dbname


def _result(backup: Backup, trial: Trial, copies: Copies) -> Mapping[str, Any]:
    stores = {name.value: "whole" for name in copies.good} | {name.value: text for name, text in copies.faults.items()}
    return {
        "backup": str(backup.id),
        "fileName": backup.file_name,
        "store": trial.store.value,
        "stores": stores,
        "recoverySeconds": trial.recovery_seconds,
        "checks": trial.examination.as_document(),
    }
