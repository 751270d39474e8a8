"""Rescan: the catalog from what the stores hold; whole again after a loss, and without what is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.db import events
from app.db.engine import Database
from app.db.models import Backup
from app.db.queries import backups
from app.db.session import Session
from app.domain.backups import OWN_TOOL, USABLE, BackupStatus, StoreName
from app.domain.events import EventName
from app.domain.permissions import Principal
from app.ops.backups.inventory import Held, Inventory, Refused, take_inventory
from app.ops.backups.stores import Store, open_stores
from app.settings import Settings
from app.vault import Vault

AT_ONCE = 100
_ORDER = [str(name) for name in StoreName]
GONE = "Its file is in no store any more; when it is there again, a rescan takes it back."
LEFT_OVER = "The catalog says that it was deleted; delete it here, too."
ANOTHER = "The catalog knows another file by this id."


@dataclass(slots=True)
class Rescan:
    """What came of it: ids of backups that were found, that moved and that are gone, and what was not taken."""

    found: list[UUID] = field(default_factory=list)
    moved: list[UUID] = field(default_factory=list)
    gone: list[UUID] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    known: int = 0


class _Desk:
    """What settling one backup after the other takes."""

    def __init__(
        self,
        inventory: Inventory,
        stores: Mapping[StoreName, Store],
        before: Mapping[UUID, Collection[str]],
        caller: Principal,
        now: datetime,
    ) -> None:
        self.inventory = inventory
        self.stores = stores
        self.before = before
        self.caller = caller
        self.now = now
        self.done = Rescan(refused=list(inventory.refused), problems=list(inventory.problems))

    def refuse(self, held: Held, reason: str) -> None:
        """Tell of what the stores hold and the catalog does not want."""
        for name in held.stores:
            self.done.refused.append(Refused(self.stores[name].location(held.manifest.name), reason))

    async def tell(self, tx: Session, event: EventName, backup: Backup, **data: Any) -> None:
        """A line in the audit trail."""
        await events.record(
            tx, self.caller, event, backup.id, now=self.now, data={"fileName": backup.file_name, **data}
        )


async def rescan(database: Database, settings: Settings, vault: Vault, caller: Principal, *, now: datetime) -> Rescan:
    """Look at all stores, then bring the catalog up to date; a store that does not answer changes nothing."""
    stores = open_stores(settings)
    async with database.transaction() as tx:
        before = await backups.map_own_stores(tx)
    inventory = await asyncio.to_thread(take_inventory, stores, vault)
    desk = _Desk(_distrust_bare(inventory, stores, before), stores, before, caller, now)
    async with database.transaction() as tx:
        known = (await backups.map_own_stores(tx)).keys()
    wanted = sorted(known | inventory.backups.keys())
    for since in range(0, len(wanted), AT_ONCE):
        async with database.transaction() as tx:
            for backup_id in wanted[since : since + AT_ONCE]:
                await _settle(tx, desk, backup_id, is_known=backup_id in known)
    return desk.done


def _distrust_bare(
    inventory: Inventory, stores: Mapping[StoreName, Store], before: Mapping[UUID, Collection[str]]
) -> Inventory:
    """A store that should have backups and has none at all is not mounted, or another one: it counts as no answer."""
    counts = {name: sum(name in places for places in before.values()) for name in inventory.bare}
    lacking = {name: count for name, count in counts.items() if count}
    problems = [
        f"{stores[name].location('')} holds no backup, and should hold {count}: is it mounted, and the right one?"
        for name, count in lacking.items()
    ]
    answered = inventory.answered - lacking.keys()
    return replace(inventory, answered=answered, problems=(*inventory.problems, *problems))


async def _settle(tx: Session, desk: _Desk, backup_id: UUID, *, is_known: bool) -> None:
    held = desk.inventory.backups.get(backup_id)
    if not is_known:
        assert held is not None, "it is known, or in a store"
        await _enter(tx, desk, held)
        return
    backup = await backups.lock_backup(tx, backup_id)
    if backup.status == BackupStatus.RUNNING:
        return
    if held is not None and backup.sha256 is not None and backup.sha256 != held.manifest.sha256:
        desk.refuse(held, ANOTHER)
        held = None
    if backup.status == BackupStatus.EXPIRED and held is not None:
        desk.refuse(held, LEFT_OVER)
    elif backup.status in USABLE:
        await _move(tx, desk, backup, held)
    elif backup.failure == GONE and held is not None:
        _fill(backup, held, desk.now)
        desk.done.found.append(backup.id)
        await desk.tell(tx, EventName.BACKUP_FOUND, backup, stores=backup.stores)


async def _enter(tx: Session, desk: _Desk, held: Held) -> None:
    """Put a backup on record that the catalog does not know."""
    backup = Backup(id=held.manifest.id, tool=OWN_TOOL, is_pinned=False)
    _fill(backup, held, desk.now)
    tx.add(backup)
    await tx.flush()
    desk.done.found.append(backup.id)
    await desk.tell(tx, EventName.BACKUP_FOUND, backup, stores=backup.stores)


def _fill(backup: Backup, held: Held, now: datetime) -> None:
    """What the manifest says; verified is only what a signed note says so of."""
    manifest, note = held.manifest, held.verification
    backup.status = BackupStatus.STORED if note is None else BackupStatus.VERIFIED
    backup.created_at = manifest.created_at
    backup.finished_at = manifest.created_at + timedelta(seconds=manifest.duration_seconds)
    backup.file_name = manifest.file_name
    backup.stores = [str(name) for name in held.stores]
    backup.bytes = manifest.bytes
    backup.sha256 = manifest.sha256
    backup.manifest = manifest.as_document()
    backup.verified_at = None if note is None else note.verified_at
    backup.recovery_seconds = None if note is None else note.recovery_seconds
    backup.failure = None


async def _move(tx: Session, desk: _Desk, backup: Backup, held: Held | None) -> None:
    """Where the backup's file is now; one that is in no store at all has failed.

    What the catalog has learnt since before the stores were looked at is newer than what was seen there.
    """
    looked_for = desk.inventory.answered & set(desk.before.get(backup.id, ()))
    elsewhere = [name for name in backup.stores if name not in looked_for]
    here = [str(name) for name in held.stores] if held is not None else []
    places = sorted({*here, *elsewhere}, key=_ORDER.index)
    if places == backup.stores:
        desk.done.known += 1
        return
    backup.stores = places
    if places:
        desk.done.moved.append(backup.id)
        return
    backup.status = BackupStatus.FAILED
    backup.failure = GONE
    desk.done.gone.append(backup.id)
    await desk.tell(tx, EventName.BACKUP_FAILED, backup, reason=GONE)
