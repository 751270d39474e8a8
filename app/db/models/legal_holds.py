"""Legal holds."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Model, new_id


class LegalHold(Model):
    """Evidence of an organization, or without one of the whole installation, stays from now until it is released."""

    __tablename__ = "legal_holds"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[UUID | None] = mapped_column(ForeignKey("organizations.id"))
    reason: Mapped[str]
    placed_at: Mapped[datetime]
    placed_by_kind: Mapped[str]
    placed_by_id: Mapped[UUID | None]
    released_at: Mapped[datetime | None]

    __table_args__ = (Index("ix_legal_holds_organization_id", "organization_id"),)
