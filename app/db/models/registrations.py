"""Registrations: organizations that somebody would like to have, until the e-mail address is confirmed."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Model, new_id


class Registration(Model):
    """A wish for an organization and its first admin; only the SHA-256 of the token that was mailed is stored."""

    __tablename__ = "registrations"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    email: Mapped[str]
    name: Mapped[str]
    organization: Mapped[dict[str, Any]]
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_registrations_email", "email"),
        CheckConstraint("email = lower(email)", name="email_is_lower_case"),
    )
