"""Idempotency keys: answers that were given to creations, so that a repeated one creates nothing twice."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Model


class IdempotencyKey(Model):
    """The encrypted answer that a caller got for a key; the same request with the same key gets it again."""

    __tablename__ = "idempotency_keys"

    caller: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request_hash: Mapped[bytes]
    created_at: Mapped[datetime]
    status: Mapped[int]
    location: Mapped[str | None]
    body_encrypted: Mapped[bytes]

    __table_args__ = (Index("ix_idempotency_keys_created_at", "created_at"),)
