"""Backups: what each is, what proves it, and the document that says so beside its file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from app.domain.errors import Conflict, FieldError, Invalid, NotFound, Unavailable
from app.domain.signed import Signed

PRODUCT = "itechsmart-license-server"
FORMAT = 1
"""Of manifests; a higher one is of a newer release, which this one can't read."""
MANIFEST_SUFFIX = ".manifest.json"
_FILE_NAME = re.compile(r"backup-\d{8}T\d{6}Z-[0-9a-f]{12}\.dump\.zst(\.age)?")


class BackupNotFound(NotFound):
    """There is no backup with this id."""

    code = "BACKUP_NOT_FOUND"


class BackupStateConflict(Conflict):
    """The backup is not in a state in which this can be done."""

    code = "BACKUP_STATE_CONFLICT"


class BackupPinned(BackupStateConflict):
    """The backup is pinned, so it stays; unpin it first."""

    code = "BACKUP_PINNED"


class LastGoodBackup(BackupStateConflict):
    """It is the last good backup, so it stays; make another and verify it first."""

    code = "LAST_GOOD_BACKUP"


class ReportRefused(Invalid):
    """The report of a backup that another tool made can't be true."""

    code = "BACKUP_REPORT_REFUSED"

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence, errors=(FieldError(field, sentence),))


class BackupRefused(Conflict):
    """The backup can't be used: its file, its manifest or what is in it is not what it should be."""

    code = "BACKUP_REFUSED"


class BackupFileMissing(BackupRefused):
    """The file of the backup is not where the catalog says."""

    code = "BACKUP_FILE_MISSING"


class BackupUnavailable(Unavailable):
    """Backups can't be written or read right now: a folder, a bucket, a program or a disk is in the way."""

    code = "BACKUP_UNAVAILABLE"


class BackupTooNew(BackupRefused):
    """The backup was made by a newer release than this one: update the server first, then use it."""

    code = "BACKUP_TOO_NEW"


class BackupKeyMissing(BackupUnavailable):
    """The key that opens the backup, or what is in it, was not given to this server; see the keys in its settings."""

    code = "BACKUP_KEY_MISSING"


class ScratchDatabaseRefused(BackupUnavailable):
    """A backup is restored into a database of its own, which can't be made here: the role needs CREATEDB."""

    code = "SCRATCH_DATABASE_REFUSED"


class BackupStatus(StrEnum):
    """How far a backup is: only one that was restored on trial and found whole is verified."""

    RUNNING = "running"
    STORED = "stored"
    VERIFIED = "verified"
    FAILED = "failed"
    EXPIRED = "expired"


USABLE = frozenset({BackupStatus.STORED, BackupStatus.VERIFIED})


class StoreName(StrEnum):
    """Where files of backups are."""

    LOCAL = "local"
    S3 = "s3"


OWN_TOOL = "license-server"
"""The tool of our own backups; others (pgBackRest, a cloud) report theirs into the catalog."""


def require_verifiable(tool: str, status: str, file_name: str | None) -> None:
    """Raise BackupStateConflict for what can't be restored on trial; one that was found damaged may be tried again."""
    if tool != OWN_TOOL:
        raise BackupStateConflict(f"The backup was made by {tool}, which alone can verify it, and report that here.")
    if status not in USABLE | {BackupStatus.FAILED} or file_name is None:
        raise BackupStateConflict(f"The backup is {status}, and has no file that could be verified.")


@dataclass(frozen=True, slots=True)
class Figures:
    """What monitors are told of the catalog, reported backups too; None for what there is not.

    `succeeded_at` is the moment of the newest backup that can be restored, `bytes` its size; `verified_at` is when one
    was last found whole, and `recovery_seconds` how long the last trial took.
    """

    succeeded_at: datetime | None
    verified_at: datetime | None
    recovery_seconds: float | None
    bytes: int | None


@dataclass(frozen=True, slots=True)
class TableContent:
    """What a table holds: its rows, and a sum of their hashes that does not depend on their order."""

    name: str
    rows: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Manifest(Signed):
    """What is known of a backup, as it stands beside its file.

    `created_at` is the moment of the snapshot: nothing that was committed later is in the backup. `raw_bytes` is the
    size of what pg_dump said, before compression; `bytes` and `sha256` are the file's. `key_fingerprints` tell which of
    the installation's encryption keys open what is in it. `signature` is made with such a key over everything else.
    """

    id: UUID
    created_at: datetime
    file_name: str
    bytes: int
    raw_bytes: int
    sha256: str
    encrypted_for: str | None
    database: str
    database_bytes: int
    server_version: str
    tool_version: str
    app_version: str
    schema_head: str
    tables: tuple[TableContent, ...]
    key_fingerprints: tuple[str, ...]
    duration_seconds: float
    signature: str = ""

    @property
    def rows(self) -> int:
        """The rows of all tables."""
        return sum(table.rows for table in self.tables)

    @property
    def name(self) -> str:
        """The name of the manifest's own file."""
        return manifest_name(self.file_name)

    def as_document(self) -> dict[str, Any]:
        """As it is kept, with the names that answers use."""
        return {
            "format": FORMAT,
            "product": PRODUCT,
            "id": str(self.id),
            "createdAt": self.created_at.astimezone(UTC).isoformat(),
            "fileName": self.file_name,
            "bytes": self.bytes,
            "rawBytes": self.raw_bytes,
            "sha256": self.sha256,
            "compression": "zstd",
            "encryptedFor": self.encrypted_for,
            "database": self.database,
            "databaseBytes": self.database_bytes,
            "serverVersion": self.server_version,
            "toolVersion": self.tool_version,
            "appVersion": self.app_version,
            "schemaHead": self.schema_head,
            "tables": [{"name": one.name, "rows": one.rows, "checksum": one.checksum} for one in self.tables],
            "keyFingerprints": list(self.key_fingerprints),
            "durationSeconds": self.duration_seconds,
            "signature": self.signature,
        }


def read_manifest(document: Mapping[str, Any]) -> Manifest:
    """The manifest that `as_document` wrote; raises BackupRefused for one of something else, or of a newer release."""
    try:
        if document["product"] != PRODUCT:
            raise BackupRefused(f"This is no backup of {PRODUCT}, but of {document['product']}.")
        if document["format"] > FORMAT:
            raise BackupTooNew("The backup was made by a newer release, whose manifests this one can't read.")
        return Manifest(
            id=UUID(document["id"]),
            created_at=datetime.fromisoformat(document["createdAt"]),
            file_name=str(document["fileName"]),
            bytes=int(document["bytes"]),
            raw_bytes=int(document["rawBytes"]),
            sha256=str(document["sha256"]),
            encrypted_for=document["encryptedFor"],
            database=str(document["database"]),
            database_bytes=int(document["databaseBytes"]),
            server_version=str(document["serverVersion"]),
            tool_version=str(document["toolVersion"]),
            app_version=str(document["appVersion"]),
            schema_head=str(document["schemaHead"]),
            tables=tuple(TableContent(one["name"], one["rows"], one["checksum"]) for one in document["tables"]),
            key_fingerprints=tuple(document["keyFingerprints"]),
            duration_seconds=float(document["durationSeconds"]),
            signature=str(document["signature"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BackupRefused(f"The backup's manifest can't be read ({type(error).__name__}: {error}).") from error


def rows_of(manifest: Mapping[str, Any] | None) -> int | None:
    """The rows of all tables, as a manifest of the catalog says; None without one."""
    return None if manifest is None else sum(table["rows"] for table in manifest["tables"])


def backup_file_name(backup_id: UUID, created_at: datetime, *, is_encrypted: bool) -> str:
    """The file's name: sorts by time, and holds the last digits of the id."""
    suffix = ".dump.zst.age" if is_encrypted else ".dump.zst"
    return f"backup-{created_at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{id_in_name(backup_id)}{suffix}"


def id_in_name(backup_id: UUID) -> str:
    """What the names of all files of a backup hold, and those of no other one."""
    return backup_id.hex[-12:]


def require_own_name(manifest: Manifest) -> None:
    """Raise BackupRefused unless the file's name is the one that its id and moment give: names lead nowhere else."""
    is_encrypted = manifest.encrypted_for is not None
    if manifest.file_name != backup_file_name(manifest.id, manifest.created_at, is_encrypted=is_encrypted):
        raise BackupRefused("The backup's manifest names a file that is not its own.")


def is_backup_file_name(name: str) -> bool:
    """Whether a backup's file could be called so."""
    return _FILE_NAME.fullmatch(name) is not None


def manifest_name(file_name: str) -> str:
    """The name of the manifest beside a backup's file."""
    return file_name.partition(".")[0] + MANIFEST_SUFFIX
