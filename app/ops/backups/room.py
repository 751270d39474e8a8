"""Room: whether the disk of the folder for backups has enough of it, before anything is written."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.domain.backups import BackupUnavailable
from app.domain.words import ByteCount

MARGIN = 1.05
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class BackupDiskFull(BackupUnavailable):
    """The disk of BACKUP_DIR has too little room for a backup: make some, or set BACKUP_DIR to another disk."""

    code = "BACKUP_DISK_FULL"


def expected_bytes(database_bytes: int, last: tuple[int, int] | None) -> int:
    """The likely size of the file of a database of this size; `last` is the size of the last file, and its database's.

    Indexes are not in it and the rest shrinks, so half of the database is plenty where nothing is known.
    """
    if last is None:
        return database_bytes // 2
    file_bytes, its_database_bytes = last
    return round(file_bytes * max(1.0, database_bytes / max(its_database_bytes, 1)))


def require_room(folder: Path, expected: int) -> None:
    """Raise BackupDiskFull unless a file of this size fits there, with a margin. Blocks."""
    wanted = round(expected * MARGIN)
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise BackupDiskFull(
            f"BACKUP_DIR {folder.resolve()} has {ByteCount(free)} left, and the backup may need {ByteCount(wanted)}:"
            " make room, or set BACKUP_DIR to another disk."
        )


@contextmanager
def told_of_the_disk(folder: Path) -> Iterator[None]:
    """Raise BackupDiskFull where a disk is full or allows no larger file, and BackupUnavailable where it fails."""
    try:
        yield
    except OSError as error:
        where = f"BACKUP_DIR {folder.resolve()}"
        if error.errno in _FULL:
            raise BackupDiskFull(
                f"{where} is full ({error.strerror}): make room, or set it to another disk."
            ) from error
        raise BackupUnavailable(f"{where} can't be written: {error.strerror or error}.") from error
