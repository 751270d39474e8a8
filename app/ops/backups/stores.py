"""Stores: where files of backups are put, found, read and deleted; all of it blocks, so it belongs into a thread."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from app.domain.backups import BackupFileMissing, BackupUnavailable, StoreName, manifest_name
from app.domain.verifications import verification_name
from app.ops.backups.s3 import decode, open_s3_store
from app.settings import Settings

PARTIAL = ".partial"
CHUNK_BYTES = 1024 * 1024


class Store(Protocol):
    """A place for files. Names have no folders; raises BackupFileMissing and BackupUnavailable."""

    name: StoreName

    def location(self, name: str) -> str:
        """Where a file is, in words for people."""
        ...

    def put(self, name: str, source: BinaryIO, size: int) -> None:
        """Copy what comes here; it has its name only when it is whole. What the source raises ends it."""
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

    def size(self, name: str) -> int:
        """How many bytes the file has."""
        ...

    def list_names(self) -> Sequence[str]:
        """All names here, sorted; also those of files that are not ours."""
        ...

    def list_sizes(self) -> Mapping[str, int]:
        """The same with their bytes."""
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

    def put(self, name: str, source: BinaryIO, size: int) -> None:
        """Copy what comes here; it has its name only when it is whole."""
        self.prepare()
        try:
            with self._told(), self.writing(name) as draft:
                shutil.copyfileobj(source, draft, CHUNK_BYTES)
                _require_size(name, draft.tell(), size)
            self.publish(name)
        finally:
            with suppress(OSError):
                self.draft(name).unlink(missing_ok=True)

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
            content = (self.folder / name).read_bytes()
        return decode(self.location(name), content)

    def size(self, name: str) -> int:
        """How many bytes the file has."""
        with self._told():
            return (self.folder / name).stat().st_size

    def list_names(self) -> Sequence[str]:
        """All names here, sorted; also those of files that are not ours."""
        return list(self.list_sizes())

    def list_sizes(self) -> Mapping[str, int]:
        """The same with their bytes."""
        with self._told():
            if not self.folder.exists():
                return {}
            return {one.name: size for one in sorted(self.folder.iterdir()) if (size := _size_of_file(one)) is not None}

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
        except OSError as error:
            reason = error.strerror or str(error)
            raise BackupUnavailable(f"BACKUP_DIR {self.folder.resolve()} can't be used: {reason}.") from error


def open_stores(settings: Settings) -> dict[StoreName, Store]:
    """All places of this installation, the nearest first."""
    stores: dict[StoreName, Store] = {StoreName.LOCAL: LocalStore(settings.backup_dir)}
    s3 = open_s3_store(settings)
    if s3 is not None:
        stores[StoreName.S3] = s3
    return stores


def delete_copy(store: Store, file_name: str) -> None:
    """Remove a backup from a store: its file first, then what tells of it, so that no file is left without a word."""
    for name in (file_name, verification_name(file_name), manifest_name(file_name)):
        store.delete(name)


def _size_of_file(path: Path) -> int | None:
    """None for what is no file, or was renamed or deleted since it was listed."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _require_size(name: str, written: int, size: int) -> None:
    if written != size:
        raise BackupUnavailable(f"{name} changed while it was copied: {written} bytes came instead of {size}.")
