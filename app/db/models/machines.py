"""Machines: the seats that a license has given out."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Model, new_id


class Machine(Model):
    """A machine that holds a seat of a license; only the SHA-256 of its fingerprint is stored."""

    __tablename__ = "machines"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    license_id: Mapped[UUID] = mapped_column(ForeignKey("licenses.id"))
    fingerprint_hash: Mapped[bytes]
    activated_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("license_id", "fingerprint_hash"),)
