"""Backups: the catalog."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Model, new_id, one_of
from app.domain.backups import BackupStatus


class Backup(Model):
    """A backup; its manifest, where it is our own, stands beside its file, from which this row can be made again.

    `created_at` is the moment of its snapshot. `stores` are where its file is. `recovery_seconds` is how long the last
    trial took from the file to a database that answers. Those of other tools have no file here.
    """

    __tablename__ = "backups"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tool: Mapped[str]
    status: Mapped[str]
    is_pinned: Mapped[bool] = mapped_column(server_default=text("false"))
    note: Mapped[str | None]
    run_id: Mapped[UUID | None]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    file_name: Mapped[str | None]
    stores: Mapped[list[str]] = mapped_column(server_default=text("'{}'::text[]"))
    bytes: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str | None]
    manifest: Mapped[dict[str, Any] | None]
    verified_at: Mapped[datetime | None]
    recovery_seconds: Mapped[float | None]
    failure: Mapped[str | None]
    expired_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_backups_created_at_id", "created_at", "id"),
        one_of("status", BackupStatus),
    )
