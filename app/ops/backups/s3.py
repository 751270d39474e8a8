"""A bucket of Amazon's S3, or of a server that speaks its language, as a store of backups. All of it blocks."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, BinaryIO, cast

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store as Bucket

from app.domain.backups import BackupFileMissing, BackupRefused, BackupUnavailable, StoreName
from app.settings import Settings

if TYPE_CHECKING:
    from obstore.store import S3Config, S3Credential, S3CredentialProvider

DEFAULT_REGION = "us-east-1"
PIECE_BYTES = 8 * 1024**2
MOST_PIECES = 9_000
"""Of one upload; S3 takes 10,000."""
PIECES_AT_ONCE = 3
MOST_RETRIES = 3
CONNECT_SECONDS = 5.0
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_STATUS = re.compile(r"status code: (\d{3}[ \w]{0,40})")
_METADATA_HOST = "169.254.169.254"


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that a piece of a file may take, and that a small request may take; about as long again with retries."""

    piece: float = 60.0
    word: float = 10.0


class S3Store:
    """A folder of a bucket. Pieces that arrive are checked against their SHA-256 by the other side."""

    name = StoreName.S3

    def __init__(self, settings: Settings, patience: Patience = Patience()) -> None:
        assert settings.backup_s3_url is not None, "copies were asked for"
        self._url = settings.backup_s3_url.rstrip("/")
        self._patient = _open_bucket(settings, patience.piece)
        self._brisk = _open_bucket(settings, patience.word)

    def location(self, name: str) -> str:
        """The file's address."""
        return f"{self._url}/{name}"

    def put(self, name: str, source: BinaryIO, size: int) -> None:
        """Copy what comes here; it has its name only when it is whole. What the source raises ends it, and is raised.

        A client that is killed in the midst of it leaves pieces that nobody sees; a rule of the bucket removes them.
        """
        piece = max(PIECE_BYTES, -(-size // MOST_PIECES))
        pieces = iter(lambda: source.read(piece), b"")
        with self._told(name):
            obstore.put(
                self._patient, name, pieces, use_multipart=True, chunk_size=piece, max_concurrency=PIECES_AT_ONCE
            )
        arrived = self.size(name)
        if arrived != size:
            raise BackupUnavailable(f"{self.location(name)} has {arrived} bytes after {size} were sent.")

    def put_text(self, name: str, text: str) -> None:
        """Write a small file."""
        with self._told(name):
            obstore.put(self._brisk, name, text.encode(), use_multipart=False)

    def open(self, name: str) -> BinaryIO:
        """The file, to be read from its beginning, piece by piece: who reads slowly holds no connection."""
        with self._told(name):
            meta = obstore.head(self._brisk, name)
        return cast(BinaryIO, io.BufferedReader(_Pieces(self, name, meta["size"], meta["e_tag"]), PIECE_BYTES))

    def read_text(self, name: str) -> str:
        """The whole of a small file."""
        with self._told(name):
            content = bytes(obstore.get(self._brisk, name).bytes())
        return decode(self.location(name), content)

    def size(self, name: str) -> int:
        """How many bytes the file has."""
        with self._told(name):
            return obstore.head(self._brisk, name)["size"]

    def list_names(self) -> Sequence[str]:
        """All names here, sorted; also those of files that are not ours."""
        return list(self.list_sizes())

    def list_sizes(self) -> Mapping[str, int]:
        """The same with their bytes; what lies in folders below is not here."""
        with self._told():
            found = {one["path"]: one["size"] for batch in obstore.list(self._brisk) for one in batch}
        return {name: found[name] for name in sorted(found) if "/" not in name}

    def look(self) -> None:
        """Ask for the first of the names alone: whether the bucket is there and may be listed."""
        with self._told():
            next(iter(obstore.list(self._brisk)), None)

    def delete(self, name: str) -> None:
        """Remove a file; harmless when it is gone."""
        try:
            with self._told(name):
                obstore.delete(self._brisk, name)
        except BackupFileMissing:
            pass

    def read_piece(self, name: str, start: int, end: int, e_tag: str | None) -> bytes:
        """A part of the file, which must still be the one with this tag."""
        with self._told(name):
            options: obstore.GetOptions = {"range": (start, end)}
            if e_tag is not None:
                options["if_match"] = e_tag
            return bytes(obstore.get(self._patient, name, options=options).bytes())

    @contextmanager
    def _told(self, name: str = "") -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self._unavailable(error) from None
            raise BackupFileMissing(f"{self.location(name)} is missing.") from None
        except (BaseError, OSError, ValueError) as error:  # its message tells of addresses and of what was answered
            raise self._unavailable(error) from None

    def _unavailable(self, error: Exception) -> BackupUnavailable:
        return BackupUnavailable(f"BACKUP_S3_URL {self._url} can't be used: {_reason(str(error))}.")


class _Pieces(io.RawIOBase):
    """A file of a bucket, read with a request for each piece."""

    def __init__(self, store: S3Store, name: str, size: int, e_tag: str | None) -> None:
        self._store = store
        self._name = name
        self._size = size
        self._e_tag = e_tag
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        end = min(self._at + len(buffer), self._size)
        if end == self._at:
            return 0
        piece = self._store.read_piece(self._name, self._at, end, self._e_tag)
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


def decode(location: str, content: bytes) -> str:
    """The text of a small file; raises BackupRefused for what is none."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise BackupRefused(f"{location} is no text.") from error


def open_s3_store(settings: Settings, patience: Patience = Patience()) -> S3Store | None:
    """The bucket of this installation; None without one. Asks nobody yet."""
    return S3Store(settings, patience) if settings.backup_s3_url is not None else None


def _open_bucket(settings: Settings, seconds: float) -> Bucket:
    assert settings.backup_s3_url is not None, "copies were asked for"
    bucket, _, prefix = settings.backup_s3_url.removeprefix("s3://").partition("/")
    endpoint = settings.backup_s3_endpoint
    config: S3Config = {
        "region": settings.backup_s3_region or DEFAULT_REGION,
        "virtual_hosted_style_request": False,
        "disable_bulk_delete": True,  # servers of others know only the single one
        "checksum_algorithm": "SHA256",
    }
    if endpoint is not None:
        config["endpoint"] = endpoint.rstrip("/")
    return Bucket(
        bucket,
        prefix=prefix.strip("/") or None,
        config=config,
        client_options={
            "allow_http": endpoint is not None and endpoint.startswith("http://"),
            "timeout": timedelta(seconds=seconds),
            "connect_timeout": timedelta(seconds=min(CONNECT_SECONDS, seconds)),
        },
        retry_config={
            "max_retries": MOST_RETRIES,
            "retry_timeout": timedelta(seconds=seconds),
            "backoff": {
                "init_backoff": timedelta(milliseconds=200),
                "max_backoff": timedelta(seconds=min(CONNECT_SECONDS, seconds)),
                "base": 2,
            },
        },
        credential_provider=_credentials(settings),
    )


def _credentials(settings: Settings) -> S3CredentialProvider | None:
    """Our own access key, and nothing of the environment's beside it; None leaves all to the environment."""
    key_id, secret = settings.backup_s3_access_key_id, settings.backup_s3_secret_access_key
    if key_id is None or secret is None:
        return None
    credential: S3Credential = {
        "access_key_id": key_id,
        "secret_access_key": secret.get_secret_value(),
        "token": None,
        "expires_at": None,
    }
    return lambda: credential


def _reason(said: str) -> str:
    """What went wrong, in a few words of ours: the whole is long, and holds what is nobody's business."""
    code, status = _CODE.search(said), _STATUS.search(said)
    if code is not None:
        return f"the server says {code[1]}"
    if status is not None:
        return f"the server says {status[1].strip()}"
    if _METADATA_HOST in said:
        return "there is no access key: set BACKUP_S3_ACCESS_KEY_ID and BACKUP_S3_SECRET_ACCESS_KEY"
    if "kind: Timeout" in said or "TimedOut" in said or "timed out" in said:
        return "the server did not answer in time"
    if "kind: Connect" in said:
        return "nobody answers at its address"
    return "the server did not do what was asked"
