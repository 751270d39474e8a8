"""Taking a backup out of the stores: whole, checked, and on record."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from app.db import events
from app.db.queries import backups
from app.db.session import Session
from app.domain.backups import USABLE, BackupStateConflict, BackupUnavailable, Manifest, read_manifest
from app.domain.events import EventName
from app.domain.permissions import Principal
from app.ops.backups.pipes import CHUNK_BYTES
from app.ops.backups.stores import PARTIAL


async def begin_download(tx: Session, caller: Principal, backup_id: UUID, *, now: datetime) -> Manifest:
    """What is to be taken out; that it was is recorded. Raises BackupNotFound and BackupStateConflict."""
    backup = await backups.get_backup(tx, backup_id)
    if backup.status not in USABLE or backup.manifest is None:
        raise BackupStateConflict(f"The backup is {backup.status}, or another tool's: there is no file to download.")
    manifest = read_manifest(backup.manifest)

    await events.record(
        tx,
        caller,
        EventName.BACKUP_DOWNLOADED,
        backup.id,
        now=now,
        data={"fileName": manifest.file_name, "bytes": manifest.bytes, "sha256": manifest.sha256},
    )
    return manifest


def save(source: BinaryIO, target: Path) -> None:
    """Write what comes to a new file that only we may read; it has its name when it is whole, or leaves nothing.

    Raises BackupUnavailable when it can't be written, and what the source raises. Blocks.
    """
    draft = target.with_name(f"{target.name}{PARTIAL}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                pour(source, file)
                file.flush()
                os.fsync(descriptor)
            os.link(draft, target)
        finally:
            with suppress(OSError):
                draft.unlink()
    except OSError as error:
        raise _unwritable(target, error) from error


def pour(source: BinaryIO, target: BinaryIO) -> None:
    """Write what comes, all of it."""
    while piece := source.read(CHUNK_BYTES):
        target.write(piece)


def _unwritable(target: Path, error: OSError) -> BackupUnavailable:
    if error.errno == errno.EEXIST:
        return BackupUnavailable(f"{target}, or {target.name}{PARTIAL} beside it, is there already.")
    return BackupUnavailable(f"{target} can't be written: {error.strerror or error}.")
