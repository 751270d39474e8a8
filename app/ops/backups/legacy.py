"""Legacy: what the live database leaves to the one that takes its place, written there just before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from app.db import events
from app.db.engine import Database
from app.db.queries import backups, legacies
from app.db.queries.legacies import Legacy
from app.db.session import Session
from app.db.workbench import Workbench
from app.domain.backups import BackupNotFound, BackupStatus, Manifest, StoreName
from app.domain.events import EventName

OTHER_DATABASE = "Its database was put away, or backed up, while it was under way."


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
    since stay so. Without it, the catalog has at least the backup that was restored.
    """
    async with opened(incoming) as database:
        async with database.transaction() as tx:
            ids = list(await legacies.list_under_way(tx))
        legacy = None
        if is_live_readable:
            async with bench.database.transaction() as tx:
                legacy = await legacies.read_legacy(tx, [*ids, bench.run_id])
        async with database.transaction() as tx:
            return await _write(tx, bench, news, legacy, restored)


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


async def _keep_closed(tx: Session, legacy: Legacy, *, is_older: bool) -> list[str]:
    """Of what is here and not there, only a backup's was deleted; a rollback's was made after the backup."""
    revoked = await legacies.keep_revoked(tx, legacy.revoked)
    disabled = await legacies.keep_disabled(tx, legacy.disabled)
    keys, users = await legacies.count_returned(tx, legacy)
    warnings = []
    if revoked or disabled:
        warnings.append(f"{revoked} API keys revoked since, and {disabled} people disabled since, stay so.")
    if is_older and (keys or users):
        warnings.append(f"{keys} API keys and {users} people who were deleted since are back: look through them.")
    return warnings


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
