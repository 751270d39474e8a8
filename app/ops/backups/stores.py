"""Stores: where files of backups are put, found, read and deleted; all of it blocks, so it belongs into a thread."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from app.domain.backups import BackupRefused, BackupUnavailable, StoreName
from app.settings import Settings

PARTIAL = ".partial"
CHUNK_BYTES = 1024 * 1024


class BackupFileMissing(BackupRefused):
    """The file of the backup is not where the catalog says."""

    code = "BACKUP_FILE_MISSING"


class Store(Protocol):
    """A place for files. Names have no folders; raises BackupFileMissing and BackupUnavailable."""

    name: StoreName

    def location(self, name: str) -> str:
        """Where a file is, in words for people."""
        ...

    def put(self, name: str, source: Path) -> None:
        """Copy a file here; it has its name only when it is whole."""
        ...

    def put_text(self, name: str, text: str) -> None:
        """Write a small file."""
        ...

    def open(self, name: str) -> BinaryIO:
        """The file, to be read from its beginning."""
        ...

    def read_text(self, name: str) -> str:
        """The whole of a small file."""
        ...

    def list_names(self) -> Sequence[str]:
        """All names here, sorted; also those of files that are not ours."""
        ...

    def delete(self, name: str) -> None:
        """Remove a file; harmless when it is gone."""
        ...


class LocalStore:
    """A folder that only we may read."""

    name = StoreName.LOCAL

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def location(self, name: str) -> str:
        """The file's path."""
        return str((self.folder / name).resolve())

    def prepare(self) -> None:
        """Make the folder where it is missing."""
        with self._told():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def draft(self, name: str) -> Path:
        """Where a file is written before it gets its name."""
        return self.folder / f"{name}{PARTIAL}"

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """A new draft to write to, which only we may read; it is on the disk when the block ends."""
        with self._told():
            descriptor = os.open(self.draft(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            with self._told():
                file.flush()
                os.fsync(descriptor)

    def publish(self, name: str) -> None:
        """Give a draft its name, for good."""
        with self._told():
            self.draft(name).rename(self.folder / name)
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def put(self, name: str, source: Path) -> None:
        """Copy a file here; it has its name only when it is whole."""
        self.prepare()
        with self._told(), source.open("rb") as file, self.writing(name) as draft:
            shutil.copyfileobj(file, draft, CHUNK_BYTES)
        self.publish(name)

    def put_text(self, name: str, text: str) -> None:
        """Write a small file."""
        self.prepare()
        with self.writing(name) as draft, self._told():
            draft.write(text.encode())
        self.publish(name)

    def open(self, name: str) -> BinaryIO:
        """The file, to be read from its beginning."""
        with self._told():
            return (self.folder / name).open("rb")

    def read_text(self, name: str) -> str:
        """The whole of a small file."""
        with self._told():
            return (self.folder / name).read_text()

    def list_names(self) -> Sequence[str]:
        """All names here, sorted; also those of files that are not ours."""
        if not self.folder.exists():
            return []
        with self._told():
            return sorted(one.name for one in self.folder.iterdir() if one.is_file())

    def delete(self, name: str) -> None:
        """Remove a file; harmless when it is gone."""
        with self._told():
            (self.folder / name).unlink(missing_ok=True)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise BackupFileMissing(f"{error.filename} is missing.") from error
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise BackupUnavailable(f"BACKUP_DIR {self.folder.resolve()} can't be used: {reason}.") from error


def open_stores(settings: Settings) -> dict[StoreName, Store]:
    """All places of this installation, the nearest first."""
    return {StoreName.LOCAL: LocalStore(settings.backup_dir)}
