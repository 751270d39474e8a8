"""Pipes: what pg_dump says, compressed, perhaps encrypted, and hashed on its way into a file; and the way back.

The file is zstd, in age where it is encrypted, so that `age -d | zstd -d | pg_restore` opens it anywhere.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, cast

import pyrage
import zstandard

from app.domain.backups import BackupRefused, BackupUnavailable

CHUNK_BYTES = 256 * 1024
COMPRESSION = 3
LARGEST_WINDOW = 2**27

BURST_SECONDS = 0.1
"""What a pipe that was slow may catch up with."""

Told = Callable[[int], None]
"""Is told how many bytes have passed; may sleep, to slow the pipe down."""


class DamagedFile(BackupRefused):
    """What was written is not what can be read: the file is damaged, cut off, or of somebody else."""

    code = "BACKUP_DAMAGED"


class PipeStopped(BackupUnavailable):
    """The run was stopped while bytes passed."""

    code = "BACKUP_STOPPED"


@dataclass(frozen=True, slots=True)
class Packed:
    """A file that was written: its size and SHA-256, and the size of what is in it."""

    bytes: int
    raw_bytes: int
    sha256: str


class _Hashed:
    """What is written passes through here, and is counted and hashed."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self.bytes = 0
        self.sha256 = hashlib.sha256()
        self.failure: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            self._target.write(data)
        except OSError as error:
            self.failure = error
            raise
        self.sha256.update(data)
        self.bytes += len(data)
        return len(data)

    def flush(self) -> None:
        self._target.flush()


class Pace:
    """Lets so many bytes a second pass, any number where there is no rate, and none once it is stopped."""

    def __init__(self, rate: int | None = None) -> None:
        self._rate = rate
        self._stopped = threading.Event()
        self._passed = 0
        self._due_at = 0.0

    def wait(self, passed: int) -> None:
        """Wait until so many bytes, in all, may have passed; raises PipeStopped."""
        if self._rate is not None:
            now = time.monotonic()
            self._due_at = max(self._due_at, now - BURST_SECONDS) + (passed - self._passed) / self._rate
            self._stopped.wait(max(0.0, self._due_at - now))
        self._passed = passed
        if self._stopped.is_set():
            raise PipeStopped("The run was stopped.")

    def stop(self) -> None:
        """End whoever waits, at once."""
        self._stopped.set()


class Counted:
    """A file whose bytes are counted as they are read."""

    def __init__(self, source: BinaryIO, tell: Told) -> None:
        self._source = source
        self._tell = tell
        self.bytes = 0

    def read(self, size: int = -1) -> bytes:
        """At most CHUNK_BYTES of it."""
        chunk = self._source.read(min(size, CHUNK_BYTES) if size >= 0 else CHUNK_BYTES)
        self.bytes += len(chunk)
        self._tell(self.bytes)
        return chunk


def recipient_of(identity: str) -> str:
    """Whom files are encrypted for that this age identity opens."""
    return str(pyrage.x25519.Identity.from_str(identity).to_public())


def pack(source: BinaryIO, target: BinaryIO, identity: str | None, tell: Told) -> Packed:
    """Compress what comes, encrypt it for the age identity where one is given, and write it. Raises OSError."""
    counted, hashed = Counted(source, tell), _Hashed(target)
    compressor = zstandard.ZstdCompressor(level=COMPRESSION, write_checksum=True)
    reader = compressor.stream_reader(cast(BinaryIO, counted), read_size=CHUNK_BYTES)
    if identity is None:
        shutil.copyfileobj(reader, hashed, CHUNK_BYTES)
    else:
        try:
            pyrage.encrypt_io(reader, hashed, [pyrage.x25519.Identity.from_str(identity).to_public()])
        except pyrage.EncryptError as error:  # it wraps what the target raises
            raise hashed.failure or error from error
    return Packed(hashed.bytes, counted.bytes, hashed.sha256.hexdigest())


def unpack(source: BinaryIO, target: BinaryIO, identities: Sequence[str] | None) -> None:
    """Write what is in a file, which `identities` open where it is encrypted.

    Raises DamagedFile, and OSError for what the target raises (BrokenPipeError when it wants no more).
    """
    decompressor = zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW)
    try:
        with decompressor.stream_writer(target, closefd=False) as writer:
            if identities is None:
                shutil.copyfileobj(source, writer, CHUNK_BYTES)
            else:
                pyrage.decrypt_io(source, writer, [pyrage.x25519.Identity.from_str(one) for one in identities])
    except zstandard.ZstdError as error:
        raise DamagedFile(f"The backup's file can't be decompressed: {error}.") from error
    except pyrage.DecryptError as error:
        raise DamagedFile(f"The backup's file can't be decrypted: {error}; see BACKUP_ENCRYPTION_KEY.") from error


def hash_file(source: BinaryIO) -> tuple[int, str]:
    """The size and SHA-256 of a file."""
    sha256, size = hashlib.sha256(), 0
    while chunk := source.read(CHUNK_BYTES):
        sha256.update(chunk)
        size += len(chunk)
    return size, sha256.hexdigest()
