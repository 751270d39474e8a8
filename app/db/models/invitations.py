"""Invitations: people who may become users."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Identified, Model, one_of
from app.domain.permissions import Role


class Invitation(Identified, Model):
    """An invitation by mail; only the SHA-256 of its token is stored."""

    __tablename__ = "invitations"

    organization_id: Mapped[UUID | None] = mapped_column(ForeignKey("organizations.id"))
    email: Mapped[str]
    role: Mapped[str]
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_invitations_organization_id", "organization_id"),
        one_of("role", Role),
        CheckConstraint("(role = 'OPERATOR') = (organization_id IS NULL)", name="operator_has_no_organization"),
        CheckConstraint("email = lower(email)", name="email_is_lower_case"),
    )
