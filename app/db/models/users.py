"""Users and their sessions."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Identified, Model, new_id, one_of
from app.domain.permissions import Role


class User(Identified, Model):
    """A person; operators belong to no organization, everybody else to exactly one."""

    __tablename__ = "users"

    organization_id: Mapped[UUID | None] = mapped_column(ForeignKey("organizations.id"))
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    role: Mapped[str]
    password_hash: Mapped[str]
    disabled_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_users_organization_id", "organization_id"),
        one_of("role", Role),
        CheckConstraint("(role = 'OPERATOR') = (organization_id IS NULL)", name="operator_has_no_organization"),
        CheckConstraint("email = lower(email)", name="email_is_lower_case"),
    )


class LoginSession(Model):
    """A login; only the SHA-256 of its token is stored."""

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]

    __table_args__ = (Index("ix_sessions_user_id", "user_id"),)
