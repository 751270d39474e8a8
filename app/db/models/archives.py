"""Archives: the record of each file with what was removed."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Model


class Archive(Model):
    """A file in ARCHIVE_DIR, recorded in the transaction that removed what is in it; the SHA-256 is the file's."""

    __tablename__ = "archives"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    subject: Mapped[str]
    file_name: Mapped[str] = mapped_column(unique=True)
    rows: Mapped[int] = mapped_column(BigInteger)
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    since: Mapped[datetime | None]
    until: Mapped[datetime | None]
    created_at: Mapped[datetime]
