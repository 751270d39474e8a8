"""Leftovers: what backups left whose process was killed, before they could tell what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from app.db.workbench import Workbench
from app.domain.backups import (
    MANIFEST_SUFFIX,
    BackupRefused,
    BackupStateConflict,
    BackupUnavailable,
    Manifest,
    id_in_name,
)
from app.ops.backups import catalog
from app.ops.backups.reading import read_manifest_at, require_size
from app.ops.backups.stores import LocalStore

KILLED = "The process that made it was killed, or lost the database, before the backup was whole."


async def settle(bench: Workbench, local: LocalStore, reason: str = KILLED) -> None:
    """End every backup that is under way in the catalog: only a run may, of whose group there is one at a time.

    One whose file and manifest were both in their places is stored; of the others nothing is left, and they failed.
    """
    for backup_id in await catalog.list_unsettled(bench):
        manifest = await asyncio.to_thread(_find_whole, bench, local, backup_id)
        with suppress(BackupStateConflict):
            if manifest is not None:
                await catalog.store(bench, manifest, [local.name])
            else:
                await asyncio.to_thread(_discard, local, backup_id)
                await catalog.fail(bench, backup_id, reason)


async def tidy(bench: Workbench, local: LocalStore) -> None:
    """Delete the pieces of backups that failed while another machine, without this folder, settled them."""
    failed = {id_in_name(backup_id): backup_id for backup_id in await catalog.list_failed(bench)}

    def work() -> None:
        there = {failed[end] for name in local.list_names() for end in failed if end in name}
        for backup_id in there:
            if _find_whole(bench, local, backup_id) is None:
                _discard(local, backup_id)

    await asyncio.to_thread(work)


def _find_whole(bench: Workbench, local: LocalStore, backup_id: UUID) -> Manifest | None:
    """The manifest, when it is signed by us and its file is there in its full size."""
    for name in _names(local, backup_id):
        if name.endswith(MANIFEST_SUFFIX):
            with suppress(BackupRefused, BackupUnavailable):
                manifest = read_manifest_at(local, name)
                is_ours = bench.vault.is_signed(manifest.unsigned_text(), manifest.signature)
                require_size(local, manifest)
                if is_ours and manifest.id == backup_id:
                    return manifest
    return None


def _discard(local: LocalStore, backup_id: UUID) -> None:
    for name in _names(local, backup_id):
        local.delete(name)


def _names(local: LocalStore, backup_id: UUID) -> Sequence[str]:
    """All files of a backup, drafts too; nobody else's have its id in their names."""
    end = id_in_name(backup_id)
    return [name for name in local.list_names() if name.startswith("backup-") and end in name]
