"""Whether the places for backups can be used, before a backup or a restore needs them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from app.domain.backups import BackupRefused, BackupUnavailable
from app.domain.findings import Finding, Level
from app.ops.backups.s3 import Patience, open_s3_store
from app.ops.backups.stores import LocalStore, Store
from app.settings import Settings

BRISK = Patience(piece=5.0, word=5.0)


def check_stores(settings: Settings, patience: Patience = BRISK) -> list[Finding]:
    """Whether the folder and the bucket can be written to, read and deleted from, and what would be lost together.

    Blocks, for some twenty seconds when a bucket is silent.
    """
    return [
        _check_folder(settings),
        _check_bucket(settings, patience),
        _check_distance(settings),
        _check_encryption(settings),
    ]


def _check_folder(settings: Settings) -> Finding:
    store = LocalStore(settings.backup_dir)
    problem = _try_out(store)
    if problem is not None:
        return Finding("backup_folder", Level.BAD, problem, "set BACKUP_DIR to a folder that the server may write to")
    return Finding("backup_folder", Level.GOOD, f"Backups are put into {settings.backup_dir.resolve()}.")


def _check_bucket(settings: Settings, patience: Patience) -> Finding:
    store = open_s3_store(settings, patience)
    if store is None:
        sentence = "Backups are not copied anywhere else: whoever loses this machine loses them, too."
        return Finding("backup_copies", Level.WARNING, sentence, "set BACKUP_S3_URL, or copy BACKUP_DIR elsewhere")
    problem = _try_out(store)
    if problem is not None:
        return Finding("backup_copies", Level.BAD, problem, "see BACKUP_S3_* in docs/settings.md")
    return Finding("backup_copies", Level.GOOD, f"Backups are copied to {settings.backup_s3_url}.")


def _try_out(store: Store) -> str | None:
    """Write, read and delete a tiny file; what went wrong."""
    name, said = f"probe-{uuid4().hex}.txt", "license-server doctor was here\n"
    try:
        store.put_text(name, said)
        found = store.read_text(name)
        store.delete(name)
    except (BackupRefused, BackupUnavailable) as error:
        return error.message
    return None if found == said else f"{store.location(name)} is not what was written there."


def _check_distance(settings: Settings) -> Finding:
    """Whether one broken disk takes the database and its backups: known where the database is our own, in DATA_DIR."""
    if settings.backup_s3_url is not None or settings.database_url is not None:
        return Finding("backup_disk", Level.GOOD, "Backups are not only on the disk of an embedded database.")
    if _disk(settings.backup_dir) == _disk(settings.data_dir):
        sentence = "Backups are on the disk of the database, and nowhere else: it takes them along when it breaks."
        return Finding("backup_disk", Level.WARNING, sentence, "set BACKUP_DIR to another disk, or BACKUP_S3_URL")
    return Finding("backup_disk", Level.GOOD, "Backups are on another disk than the database.")


def _check_encryption(settings: Settings) -> Finding:
    if settings.backup_keys():
        return Finding("backup_encryption", Level.GOOD, "Backups are encrypted.")
    sentence = "Backups are not encrypted: whoever reads a file of theirs reads the whole database."
    level = Level.GOOD if settings.backup_s3_url is None else Level.WARNING
    return Finding("backup_encryption", level, sentence, "license-server backups generate-key")


def _disk(folder: Path) -> int:
    """The disk of a folder, or of where it will be made."""
    return next(os.stat(one).st_dev for one in _upwards(folder.resolve()) if one.exists())


def _upwards(folder: Path) -> Iterator[Path]:
    yield folder
    yield from folder.parents
