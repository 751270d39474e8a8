"""Reading what stores hold: a manifest, or a backup's file, checked on the way against its manifest. It blocks."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from app.domain.backups import (
    BackupFileMissing,
    BackupRefused,
    BackupUnavailable,
    Manifest,
    StoreName,
    read_manifest,
    require_own_name,
)
from app.ops.backups.pipes import CHUNK_BYTES, DamagedFile, Told
from app.ops.backups.stores import Store


def read_document(store: Store, name: str) -> Mapping[str, Any]:
    """The JSON object in a small file; raises DamagedFile, BackupFileMissing and BackupUnavailable."""
    try:
        document = json.loads(store.read_text(name))
    except (ValueError, RecursionError) as error:
        raise DamagedFile(f"{store.location(name)} is no JSON: it was damaged or replaced.") from error
    if not isinstance(document, dict):
        raise DamagedFile(f"{store.location(name)} is no JSON object: it was damaged or replaced.")
    return document


def read_manifest_at(store: Store, name: str) -> Manifest:
    """The manifest in a store, whoever has written it; raises BackupRefused and BackupUnavailable."""
    return read_manifest(read_document(store, name))


def find_store(stores: Mapping[StoreName, Store], manifest: Manifest, *, prefer: StoreName | None = None) -> Store:
    """The store that has the file, by its size: the nearest, or the preferred one.

    Raises what kept the first one from it when none has it: BackupFileMissing, DamagedFile or BackupUnavailable.
    """
    require_own_name(manifest)
    problems: list[BackupRefused | BackupUnavailable] = []
    for store in sorted(stores.values(), key=lambda one: one.name is not prefer):
        try:
            require_size(store, manifest)
        except (BackupRefused, BackupUnavailable) as problem:
            problems.append(problem)
        else:
            return store
    raise min(problems, key=lambda one: isinstance(one, BackupFileMissing))


def open_backup_file(
    stores: Mapping[StoreName, Store], manifest: Manifest, *, prefer: StoreName | None = None
) -> BinaryIO:
    """The file in the store that `find_store` finds; whoever reads it to its end knows that it is whole."""
    return open_copy(find_store(stores, manifest, prefer=prefer), manifest)


def open_copy(store: Store, manifest: Manifest, tell: Told = lambda size: None) -> BinaryIO:
    """The file in this store. Its last piece is given only when size and SHA-256 of the whole are the manifest's.

    Reading raises DamagedFile, and BackupUnavailable when it can't be read to its end; also what `tell` raises, which
    is told how many bytes have passed.
    """
    require_size(store, manifest)
    return cast(BinaryIO, _CheckedFile(store, manifest, tell))


def check_copy(store: Store, manifest: Manifest, tell: Told = lambda size: None) -> None:
    """Read the file in this store to its end; raises as that does."""
    with open_copy(store, manifest, tell) as file:
        while file.read(CHUNK_BYTES):
            pass


def require_size(store: Store, manifest: Manifest) -> None:
    """Raise DamagedFile for a file of another size than the manifest's, BackupFileMissing for none."""
    size = store.size(manifest.file_name)
    if size != manifest.bytes:
        where = store.location(manifest.file_name)
        raise DamagedFile(f"{where} has {size} bytes instead of {manifest.bytes}: it was cut off or replaced.")


class _CheckedFile(io.RawIOBase):
    def __init__(self, store: Store, manifest: Manifest, tell: Told) -> None:
        self._manifest = manifest
        self._where = store.location(manifest.file_name)
        self._source = store.open(manifest.file_name)
        self._sha256 = hashlib.sha256()
        self._tell = tell
        self._bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        with self._told():
            piece = self._source.read(min(len(buffer), CHUNK_BYTES))
        self._sha256.update(piece)
        self._bytes += len(piece)
        self._require_whole(is_end=not piece)
        self._tell(self._bytes)
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        if not self.closed:
            self._source.close()
        super().close()

    def _require_whole(self, *, is_end: bool) -> None:
        where, wanted = self._where, self._manifest.bytes
        if self._bytes > wanted or (is_end and self._bytes < wanted):
            raise DamagedFile(f"{where} gave {self._bytes} bytes instead of {wanted}: it was cut off or replaced.")
        if self._bytes == wanted and self._sha256.hexdigest() != self._manifest.sha256:
            raise DamagedFile(f"{where} has another SHA-256 than when it was written: it was damaged or replaced.")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise BackupUnavailable(f"{self._where} can't be read: {error.strerror or error}.") from error
