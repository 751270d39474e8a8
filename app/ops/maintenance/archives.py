"""Archives: JSON lines, compressed, written in bounded memory; nothing is at its final name that was not read back."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import os
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from app.db.engine import Database
from app.db.models import Archive
from app.db.models.base import new_id
from app.db.queries import archives
from app.db.session import Session
from app.domain.archives import ArchiveFile
from app.domain.pages import MAX_LIMIT, Page, PageRequest, cut_page
from app.domain.retention import Kept, Kind

CHUNK_BYTES = 1024 * 1024
COMPRESSION = 6
SUFFIX = ".jsonl.gz"
PARTIAL = ".partial"
OURS = tuple(f"{kind}[-_][0-9]*" for kind in (Kind.VALIDATION_EVENTS, Kind.AUDIT_EVENTS))
"""Beginnings of the names that we give; a folder that others use too may have anything else."""


class ArchiveRefused(Kept):
    """The archive can't be written, or is not what was written."""


@dataclass(slots=True)
class _Hashed:
    """A file whose SHA-256 is known when it is written; what the compressor writes to."""

    file: BinaryIO
    sha256: hashlib._Hash = field(default_factory=hashlib.sha256)
    size: int = 0

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        self.size += len(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


class ArchiveWriter:
    """A file that grows under a temporary name until it is `finish`ed."""

    def __init__(self, folder: Path, name: str, *, now: datetime) -> None:
        self.id = new_id()
        self.rows = 0
        self._now = now
        self._path = folder / f"{name}-{self.id.hex[-12:]}{SUFFIX}"
        self._draft = self._path.with_name(self._path.name + PARTIAL)
        self._waiting = bytearray()
        descriptor = os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self._hashed = _Hashed(self._file)
        self._compressor = gzip.GzipFile(
            filename="",
            mode="wb",
            compresslevel=COMPRESSION,
            fileobj=self._hashed,
            mtime=0,
        )

    async def add(self, line: bytes) -> None:
        """Append a line, which ends with a line feed; compressed a megabyte at a time, off the event loop."""
        self.rows += line.count(b"\n")
        self._waiting += line
        if len(self._waiting) >= CHUNK_BYTES:
            await self._write_out()

    async def finish(self, kind: Kind, subject: str, *, since: datetime | None, until: datetime | None) -> ArchiveFile:
        """Close the file, read it back, and give it its name, with a manifest beside it; raises ArchiveRefused."""
        await self._write_out()
        return await asyncio.to_thread(self._finish, kind, subject, since, until)

    def abandon(self) -> None:
        """Forget a file that has not got its name."""
        with suppress(OSError, ValueError):
            self._compressor.close()
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._draft.unlink()

    async def _write_out(self) -> None:
        taken, self._waiting = bytes(self._waiting), bytearray()
        await asyncio.to_thread(self._compressor.write, taken)

    def _finish(self, kind: Kind, subject: str, since: datetime | None, until: datetime | None) -> ArchiveFile:
        self._compressor.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        archive = ArchiveFile(
            id=self.id,
            kind=kind.value,
            subject=subject,
            file_name=self._path.name,
            rows=self.rows,
            bytes=self._hashed.size,
            sha256=self._hashed.sha256.hexdigest(),
            since=since,
            until=until,
            created_at=self._now,
        )
        wrong = examine(self._draft, archive)
        if wrong is not None:
            raise ArchiveRefused(wrong)
        self._draft.rename(self._path)
        _write_manifest(self._path, archive)
        return archive


@asynccontextmanager
async def new_archive(folder: Path, name: str, *, now: datetime) -> AsyncIterator[ArchiveWriter]:
    """A writer in a folder that only we may read; what is not finished is gone at the end. Raises ArchiveRefused."""
    with _refusals():
        await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True, exist_ok=True)
        writer = ArchiveWriter(folder, name, now=now)
        try:
            yield writer
        finally:
            writer.abandon()


def discard(folder: Path, archive: ArchiveFile) -> None:
    """Delete a file whose rows were not removed after all."""
    for path in (folder / archive.file_name, _manifest_of(folder / archive.file_name)):
        with suppress(OSError):
            path.unlink()


def sweep(folder: Path) -> None:
    """Delete the drafts of somebody who was killed; only one prunes at a time."""
    with suppress(OSError):
        for name in OURS:
            for draft in folder.glob(f"{name}{PARTIAL}"):
                draft.unlink()


def examine(path: Path, archive: ArchiveFile | Archive) -> str | None:
    """Why a file is not what was recorded, in a sentence; None when its checksum and its number of lines are right."""
    sha256, lines = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                sha256.update(chunk)
        if sha256.hexdigest() != archive.sha256:
            return f"{path.name} is damaged: its SHA-256 is not the one on record."
        with gzip.open(path, "rb") as unpacked:
            while chunk := unpacked.read(CHUNK_BYTES):
                lines += chunk.count(b"\n")
    except FileNotFoundError:
        return f"{path.name} is missing."
    except (OSError, EOFError, zlib.error) as error:
        return f"{path.name} can't be read: {error}."
    return None if lines == archive.rows else f"{path.name} has {lines} lines instead of {archive.rows}."


async def list_page(tx: Session, page: PageRequest) -> Page[Archive]:
    """The archives on record, newest first."""
    found = await archives.list_archives(tx, before=page.position(UUID), limit=page.limit + 1)
    return cut_page(found, page.limit, lambda archive: archive.id)


async def verify_all(database: Database, folder: Path) -> AsyncIterator[tuple[Archive, str | None]]:
    """Examine every archive on record, newest first: each with what is wrong of it or its manifest, or None."""
    before: UUID | None = None
    while True:
        async with database.transaction() as tx:
            found = await archives.list_archives(tx, before=before, limit=MAX_LIMIT)
        for archive in found:
            yield archive, await asyncio.to_thread(_examine_both, folder / archive.file_name, archive)
        if len(found) < MAX_LIMIT:
            return
        before = found[-1].id


def list_finished(folder: Path) -> set[str]:
    """The names of the finished archives in a folder, on record or not."""
    return {path.name for name in OURS for path in folder.glob(f"{name}{SUFFIX}")}


def _examine_both(path: Path, archive: Archive) -> str | None:
    return examine(path, archive) or _examine_manifest(_manifest_of(path), archive)


def _examine_manifest(manifest: Path, archive: Archive) -> str | None:
    """Why a manifest does not say what is on record: either of them was changed, or the manifest is gone."""
    try:
        told = json.loads(manifest.read_text())
        differing = [name for name, value in _facts(archive).items() if told.get(name) != value]
    except FileNotFoundError:
        return f"{manifest.name} is missing."
    except (OSError, ValueError, AttributeError):
        return f"{manifest.name} can't be read."
    return f"{manifest.name} differs from the record: {', '.join(differing)}." if differing else None


def _facts(archive: Archive) -> dict[str, object]:
    """What the manifest and the record must agree on."""
    return {
        "file": archive.file_name,
        "kind": archive.kind,
        "subject": archive.subject,
        "rows": archive.rows,
        "bytes": archive.bytes,
        "sha256": archive.sha256,
    }


def _write_manifest(path: Path, archive: ArchiveFile) -> None:
    manifest = _manifest_of(path)
    draft = manifest.with_name(manifest.name + PARTIAL)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(json.dumps(archive.as_document(), indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.rename(manifest)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _manifest_of(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(SUFFIX) + ".manifest.json")


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArchiveRefused(f"The archive can't be written: {error.strerror or error}. See ARCHIVE_DIR.") from error
