"""Expiry: deletes backups that retention, or somebody, lets go: first on record, then the files."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from app.db import events
from app.db.engine import Database
from app.db.models import Backup
from app.db.queries import backups, runs
from app.db.workbench import Workbench
from app.domain.backup_retention import SENTENCES, Reason, RetentionPolicy, is_last_good, plan_retention
from app.domain.backups import (
    OWN_TOOL,
    BackupPinned,
    BackupStateConflict,
    BackupStatus,
    LastGoodBackup,
    StoreName,
)
from app.domain.errors import DomainError
from app.domain.events import EventName
from app.domain.permissions import Principal
from app.domain.runs import MutexGroup, RunUnderWay
from app.ops.backups.presence import find_unseen
from app.ops.backups.stores import Store, delete_copy, open_stores
from app.settings import Settings
from app.telemetry.logging import log

logger = logging.getLogger(__name__)

Choose = Callable[[Sequence[Backup]], tuple[Backup, Reason] | None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where expiry works, for whom, when, and as a part of which run, if of one."""

    database: Database
    settings: Settings
    caller: Principal
    now: datetime
    run_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """A backup that goes or stays, and why; `left_in` are the stores from which its files could not be deleted."""

    id: UUID
    file_name: str | None
    created_at: datetime
    bytes: int | None
    reason: Reason
    left_in: Sequence[str] = field(default=())


@dataclass(frozen=True, slots=True)
class Expiry:
    """What went, or in a dry run would go, and what stays."""

    gone: Sequence[Judged]
    kept: Sequence[Judged]


async def preview(place: Place) -> Expiry:
    """What expiry would delete now, and why the others stay."""
    present, unseen = await _look(place)
    plan = plan_retention(present, policy_of(place.settings), place.now, unseen)
    return Expiry(_judged(present, plan.goes), _judged(present, plan.stays))


async def expire(place: Place) -> Expiry:
    """Delete what retention lets go, one by one; each is judged again in the transaction that marks it.

    Raises RunUnderWay while another run about backups is, which may be reading one of them.
    """
    await _delete_left(place)
    policy = policy_of(place.settings)
    _, unseen = await _look(place)
    gone: list[Judged] = []

    def choose(present: Sequence[Backup]) -> tuple[Backup, Reason] | None:
        goes = plan_retention(present, policy, place.now, unseen).goes
        return next(((one, goes[one.id]) for one in present if one.id in goes), None)

    while (marked := await _mark(place, choose)) is not None:
        gone.append(await _delete_files(place, *marked))
    return Expiry(gone, (await preview(place)).kept)


async def expire_after_backup(bench: Workbench) -> dict[str, Any]:
    """What a backup that was stored adds to its result; that nothing could be deleted does not make it fail."""
    place = Place(bench.database, bench.settings, bench.asker, bench.now(), bench.run_id)
    try:
        expiry = await expire(place)
    except DomainError as error:
        log(logger, logging.WARNING, "Old backups were not deleted", event="backups_not_expired", reason=error.message)
        return {"expired": [], "expiryFailure": error.message}
    return {"expired": [describe(one) for one in expiry.gone]}


async def delete(place: Place, backup_id: UUID) -> Judged:
    """Delete a backup that somebody wants to be gone; one that is deleted already, where files of it are left.

    Raises BackupNotFound, BackupPinned, LastGoodBackup, BackupStateConflict and RunUnderWay.
    """
    async with place.database.transaction() as tx:
        known = await backups.get_backup(tx, backup_id)
    if known.status == BackupStatus.EXPIRED:
        return await _delete_files(place, known, Reason.REQUESTED)
    _, unseen = await _look(place)

    def choose(present: Sequence[Backup]) -> tuple[Backup, Reason] | None:
        found = next((one for one in present if one.id == backup_id), None)
        if found is None:
            return None
        _judge_deletion(present, found, unseen)
        return found, Reason.REQUESTED

    marked = await _mark(place, choose)
    return await _delete_files(place, *(marked or (known, Reason.REQUESTED)))


def policy_of(settings: Settings) -> RetentionPolicy:
    """What the settings say."""
    return RetentionPolicy(
        settings.backup_retention_days,
        settings.backup_retention_weeks,
        settings.backup_retention_months,
        settings.backup_keep_verified,
    )


def describe(one: Judged) -> dict[str, Any]:
    """As it stands in results."""
    return {
        "backup": str(one.id),
        "fileName": one.file_name,
        "createdAt": one.created_at.isoformat(),
        "bytes": one.bytes,
        "reason": str(one.reason),
        "leftIn": list(one.left_in),
    }


def _judge_deletion(present: Sequence[Backup], backup: Backup, unseen: Collection[UUID]) -> None:
    """The last good one stays: the last on record, and the last of those whose files were seen."""
    if backup.status == BackupStatus.RUNNING:
        raise BackupStateConflict("This backup is being made; cancel its run.")
    if backup.is_pinned:
        raise BackupPinned
    seen = [one for one in present if one.id not in unseen]
    if is_last_good(present, backup.id) or is_last_good(seen, backup.id):
        raise LastGoodBackup


async def _look(place: Place) -> tuple[Sequence[Backup], Collection[UUID]]:
    """What is on record as present, and which of it no store that answers has."""
    async with place.database.transaction() as tx:
        present = await backups.list_present(tx)
    return present, await asyncio.to_thread(find_unseen, place.settings, present)


async def _mark(place: Place, choose: Choose) -> tuple[Backup, Reason] | None:
    """Mark the one that is chosen out of all that are there; from then on it can't be restored, and its files may go.

    No run about backups begins meanwhile, so none reads what is marked.
    """
    async with place.database.transaction() as tx:
        await runs.lock_group(tx, MutexGroup.BACKUPS)
        under_way = await runs.find_under_way(tx, MutexGroup.BACKUPS)
        if under_way is not None and under_way.id != place.run_id:
            raise RunUnderWay(under_way.id, under_way.kind)
        chosen = choose(await backups.lock_present(tx))
        if chosen is None:
            return None
        backup, reason = chosen
        told = {"fileName": backup.file_name, "createdAt": backup.created_at.isoformat(), "status": backup.status}
        backup.status = BackupStatus.EXPIRED
        backup.expired_at = place.now
        data = {**told, "tool": backup.tool, "reason": SENTENCES[reason]}
        await events.record(tx, place.caller, EventName.BACKUP_DELETED, backup.id, now=place.now, data=data)
    return chosen


async def _delete_left(place: Place) -> None:
    """Try again where a store was away, or a process was killed, when backups were deleted."""
    async with place.database.transaction() as tx:
        left = await backups.list_left(tx)
    for backup in left:
        await _delete_files(place, backup, Reason.OLD)


async def _delete_files(place: Place, backup: Backup, reason: Reason) -> Judged:
    """Delete the files of a backup that is marked; the row remembers the stores that were away."""
    left: list[str] = []
    if backup.tool == OWN_TOOL and backup.file_name is not None and backup.stores:
        left = await asyncio.to_thread(_delete_from, place.settings, backup.stores, backup.file_name)
        async with place.database.transaction() as tx:
            (await backups.lock_backup(tx, backup.id)).stores = left
    return Judged(backup.id, backup.file_name, backup.created_at, backup.bytes, reason, left)


def _delete_from(settings: Settings, names: Sequence[str], file_name: str) -> list[str]:
    """Delete the files of a backup; the stores that are away."""
    stores: dict[str, Store] = {str(name): store for name, store in open_stores(settings).items()}
    return [name for name in names if not _is_deleted(stores.get(name), StoreName(name), file_name)]


def _is_deleted(store: Store | None, name: StoreName, file_name: str) -> bool:
    reason = "the settings do not tell where it is any more"
    if store is not None:
        try:
            delete_copy(store, file_name)
        except DomainError as error:
            reason = error.message
        else:
            return True
    sentence = "Files of a deleted backup are left; they are tried again with the next expiry"
    log(logger, logging.WARNING, sentence, event="backup_files_left", store=name, file_name=file_name, reason=reason)
    return False


def _judged(present: Sequence[Backup], reasons: Mapping[UUID, Reason]) -> Sequence[Judged]:
    return [
        Judged(one.id, one.file_name, one.created_at, one.bytes, reasons[one.id])
        for one in present
        if one.id in reasons
    ]
