"""Copying backups out: from the folder, where each is made, into the bucket; what is missing there is caught up on.

A copy that fails never makes a backup fail: the catalog says where it is, and the next backup tries again.
"""

from __future__ import annotations

import threading

from app.db.models import Backup
from app.db.queries import backups
from app.db.workbench import Workbench
from app.domain.backups import (
    OWN_TOOL,
    USABLE,
    BackupFileMissing,
    BackupRefused,
    BackupUnavailable,
    Manifest,
    StoreName,
    read_manifest,
    require_own_name,
)
from app.domain.runs import Progress
from app.ops.backups.programs import in_thread
from app.ops.backups.reading import open_copy
from app.ops.backups.stores import Store, delete_copy, open_stores

COPYING_SINCE = 92.0
"""The percent of a backup's run at which copying begins."""


class _Stopped(Exception):
    """The run shall not go on."""


async def copy_out(bench: Workbench, manifest: Manifest) -> tuple[list[StoreName], list[str]]:
    """Copy a stored backup out, then older ones that are missing there: where it is now, and what went wrong.

    The catalog tells of each copy as soon as it is whole.
    """
    stores = open_stores(bench.settings)
    local = stores.pop(StoreName.LOCAL)
    places, warnings = [StoreName.LOCAL], []
    for store in stores.values():
        try:
            await _copy(bench, local, store, manifest)
            places.append(store.name)
            warnings += await _catch_up(bench, local, store, manifest)
        except BackupRefused as error:
            warnings.append(f"The backup {manifest.id} can't be copied: {error.message}")
        except BackupUnavailable as error:
            warnings.append(f"Not everything is copied, and the next backup tries again: {error.message}")
    return places, warnings


async def _catch_up(bench: Workbench, local: Store, store: Store, done: Manifest) -> list[str]:
    """Copy what is here and not there, the newest first; what is damaged here is told, and does not keep the others."""
    async with bench.database.transaction() as tx:
        manifests = [
            read_manifest(one.manifest)
            for one in await backups.list_present(tx)
            if _is_missing(one, store.name) and one.id != done.id and one.manifest is not None
        ]
    warnings = []
    for manifest in manifests:
        try:
            await _copy(bench, local, store, manifest)
        except BackupRefused as error:
            warnings.append(f"The backup {manifest.id} can't be copied: {error.message}")
    return warnings


def _is_missing(backup: Backup, name: StoreName) -> bool:
    is_here = StoreName.LOCAL in backup.stores and name not in backup.stores
    return is_here and backup.tool == OWN_TOOL and backup.status in USABLE


async def _copy(bench: Workbench, local: Store, store: Store, manifest: Manifest) -> None:
    """The file, and only when it is whole there its manifest, which is what makes it a backup."""
    require_own_name(manifest)
    is_stopped = threading.Event()

    def tell(size: int) -> None:
        if is_stopped.is_set():
            raise _Stopped
        percent = 100 * size / max(manifest.bytes, 1)
        share = COPYING_SINCE + (99 - COPYING_SINCE) * percent / 100
        bench.tell(Progress(share, "copying", manifest.file_name, object_percent=round(percent, 1)))

    def work() -> None:
        if not is_there(store, manifest):
            with open_copy(local, manifest, tell) as file:
                store.put(manifest.file_name, file, manifest.bytes)
            store.put_text(manifest.name, manifest.as_text())

    await in_thread(work, is_stopped.set)
    await _note(bench, store, manifest)


async def _note(bench: Workbench, store: Store, manifest: Manifest) -> None:
    """Put on record that the backup is there; what was deleted meanwhile goes there, too."""
    async with bench.database.transaction() as tx:
        backup = await backups.lock_backup(tx, manifest.id)
        is_wanted = backup.status in USABLE
        if is_wanted and store.name not in backup.stores:
            backup.stores = [*backup.stores, str(store.name)]
    if not is_wanted:
        await in_thread(lambda: delete_copy(store, manifest.file_name), lambda: None)


def is_there(store: Store, manifest: Manifest) -> bool:
    """Whether the store has the manifest and a file of its size; so a copy that is not on record is not made again."""
    try:
        return store.read_text(manifest.name) == manifest.as_text() and store.size(manifest.file_name) == manifest.bytes
    except BackupFileMissing:
        return False
