"""Backups in JSON, and the wishes about them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from app.db.models import Backup
from app.domain.backup_retention import Reason
from app.domain.backups import BackupStatus, rows_of
from app.domain.words import require_printable
from app.web.schemas.base import BigLimit, LongText, Moment, Out, OutMoment, Slug, Text, Wish

Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500), AfterValidator(require_printable)]
BackupIdText = Annotated[
    str, StringConstraints(pattern=r"^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?$", to_lower=True)
]


class MakeBackup(Wish):
    """A pinned backup never expires; the note says what it is for."""

    pin: bool = False
    note: Note = Field("", description="What it is for, such as: before the upgrade to 2.0.")


class VerifyBackup(Wish):
    """Which backup; the newest that can be used when none is named."""

    backup: BackupIdText = Field("", description="The id of a backup.")


class PinBackup(Wish):
    """A note replaces the one before, an empty one removes it; null or left out leaves it."""

    note: Note | None = None


class ExpireBackups(Wish):
    """A dry run tells what would go, and touches nothing."""

    dry_run: bool = False


class ReportBackup(Wish):
    """What another tool did; the same tool, `finishedAt` and label are the same backup."""

    tool: Slug = Field(description="Such as pgbackrest, wal-g or rds.")
    finished_at: Moment
    status: Literal[BackupStatus.STORED, BackupStatus.VERIFIED, BackupStatus.FAILED]
    label: Text | None = Field(None, description="The tool's own name for the backup.")
    started_at: Moment | None = None
    bytes: BigLimit | None = None
    failure: LongText | None = None


class BackupOut(Out):
    """A backup; `createdAt` is the moment of its snapshot, and a pin is a mark beside the status.

    Of those of other tools `fileName` is the tool's own name, and what only a manifest knows is null.
    """

    id: UUID
    tool: str
    status: str
    is_pinned: bool
    note: str | None
    created_at: OutMoment
    finished_at: OutMoment | None
    file_name: str | None
    stores: list[str]
    bytes: int | None
    sha256: str | None
    encrypted: bool | None
    rows: int | None
    schema_head: str | None
    verified_at: OutMoment | None
    recovery_seconds: float | None
    failure: str | None
    expired_at: OutMoment | None
    run_id: UUID | None

    @classmethod
    def of(cls, backup: Backup) -> Self:
        """The answer about a backup."""
        manifest = backup.manifest or {}
        own = {name: getattr(backup, name) for name in cls.model_fields if hasattr(backup, name)}
        return cls(
            **own,
            encrypted=manifest["encryptedFor"] is not None if manifest else None,
            rows=rows_of(backup.manifest),
            schema_head=manifest.get("schemaHead"),
        )


class ShownBackupOut(BackupOut):
    """A backup with its manifest, as it stands beside the file; null without one."""

    manifest: dict[str, Any] | None


class ExpiredBackupOut(Out):
    """A backup that goes or stays, and why; `leftIn` are stores from which its files could not be deleted yet."""

    id: UUID
    file_name: str | None
    created_at: OutMoment
    bytes: int | None
    reason: Reason
    left_in: list[str]


class ExpiryOut(Out):
    """What went, or in a dry run would go, and what stays."""

    dry_run: bool
    gone: list[ExpiredBackupOut]
    kept: list[ExpiredBackupOut]
