"""Legacy: what the live database leaves to the one that takes its place, written there just before."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.db import events
from app.db.engine import Database
from app.db.queries import backups, legacies
from app.db.queries.legacies import Legacy
from app.db.session import Session
from app.db.workbench import Workbench
from app.domain.backups import BackupNotFound, BackupStatus, Manifest, StoreName
from app.domain.errors import DomainError
from app.domain.events import EventName
from app.ops.backups.rescan import rescan

OTHER_DATABASE = "Its database was put away, or backed up, while it was under way."
MOST_NAMED = 5
"""So many of what is open again are told by name; the database that was put away has them all."""


@dataclass(frozen=True, slots=True)
class News:
    """What is told in the audit trail of the database that becomes the live one."""

    event: EventName
    subject: str
    data: dict[str, Any]


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """The database that is to become the live one."""
    database = Database(url, pool_size=1)
    try:
        yield database
    finally:
        await database.close()


async def carry_over(
    bench: Workbench, incoming: str, news: News, *, is_live_readable: bool, restored: tuple[Manifest, StoreName] | None
) -> list[str]:
    """Write what must go on into the incoming database, at this address; the warnings.

    From the live one, where it can be read: this run and the catalog of backups; API keys revoked and people disabled
    since stay so. Without it, the catalog is made of what the stores hold.
    """
    async with opened(incoming) as database:
        async with database.transaction() as tx:
            ids = list(await legacies.list_under_way(tx))
        legacy = None
        if is_live_readable:
            async with bench.database.transaction() as tx:
                legacy = await legacies.read_legacy(tx, [*ids, bench.run_id])
        async with database.transaction() as tx:
            warnings = await _write(tx, bench, news, legacy, restored)
        if legacy is None:
            warnings += await _take_stock(bench, database)
        return warnings


async def _write(
    tx: Session, bench: Workbench, news: News, legacy: Legacy | None, restored: tuple[Manifest, StoreName] | None
) -> list[str]:
    now, warnings = bench.now(), []
    await legacies.settle_runs(tx, OTHER_DATABASE, now=now)
    if legacy is not None:
        await legacies.put_runs(tx, legacy.runs)
        await legacies.put_backups(tx, legacy.backups)
        warnings = await _keep_closed(tx, legacy, is_older=restored is not None)
    elif restored is not None:
        await _put_on_record(tx, *restored)
    await legacies.settle_backups(tx, OTHER_DATABASE, now=now)
    await legacies.end_promises(tx)
    await legacies.plan_schedules_anew(tx)
    await events.record(tx, bench.asker, news.event, news.subject, now=now, data=news.data)
    return warnings


async def _take_stock(bench: Workbench, database: Database) -> list[str]:
    """Bring the catalog up to date with the stores; what is left for a rescan by hand."""
    try:
        done = await rescan(database, bench.settings, bench.vault, bench.asker, now=bench.now())
    except DomainError as error:
        return [f"The catalog could not be filled from the stores: {error.message}"]
    return [f"The catalog may lack backups: {problem}" for problem in done.problems]


async def _keep_closed(tx: Session, legacy: Legacy, *, is_older: bool) -> list[str]:
    """What was closed since stays so, where nobody undoes it by a restore; what is open again is told.

    Of what is here and not there, only a backup's was deleted; a rollback's was made after the backup.
    """
    revoked = await legacies.keep_revoked(tx, legacy.revoked)
    disabled = await legacies.keep_disabled(tx, legacy.disabled)
    ending = await legacies.keep_ending(tx, legacy.ending)
    withdrawn = await legacies.keep_withdrawn(tx, legacy.withdrawn)
    keys, users = await legacies.count_returned(tx, legacy)
    warnings = []
    if revoked or disabled:
        warnings.append(f"{revoked} API keys revoked since, and {disabled} people disabled since, stay so.")
    if ending or withdrawn:
        warnings.append(f"{ending} API keys end, and {withdrawn} invitations stay withdrawn, as was decided since.")
    if is_older and (keys or users):
        warnings.append(f"{keys} API keys and {users} people who were deleted since are back: look through them.")
    return [*warnings, *await _tell_reopened(tx, legacy)]


async def _tell_reopened(tx: Session, legacy: Legacy) -> list[str]:
    """That may be what the restore is for, so it is left as it is."""
    licenses = await legacies.list_reopened_licenses(tx, legacy)
    organizations = await legacies.list_reopened_organizations(tx, legacy)
    people = await legacies.list_earlier_access(tx, legacy)
    found = (
        ("licenses that were revoked or suspended since are active again", licenses),
        ("organizations that were suspended since are not any more", organizations),
        ("people have the password, second factor, role or organization of then", people),
    )
    return [f"{len(ids)} {what}, look through them: {_some(ids)}." for what, ids in found if ids]


def _some(ids: Sequence[UUID]) -> str:
    more = f" and {len(ids) - MOST_NAMED} more" if len(ids) > MOST_NAMED else ""
    return ", ".join(map(str, ids[:MOST_NAMED])) + more


async def _put_on_record(tx: Session, manifest: Manifest, store: StoreName) -> None:
    """The backup that this database came from was still being made in it."""
    try:
        backup = await backups.lock_backup(tx, manifest.id)
    except BackupNotFound:
        return
    backup.status = BackupStatus.STORED
    backup.created_at = manifest.created_at
    backup.finished_at = manifest.created_at
    backup.file_name = manifest.file_name
    backup.stores = [str(store)]
    backup.bytes = manifest.bytes
    backup.sha256 = manifest.sha256
    backup.manifest = manifest.as_document()
    await tx.flush()
    if backup.run_id is not None:
        await legacies.end_well(tx, backup.run_id, at=manifest.created_at)
