"""Users and their sessions."""

from __future__ import annotations

from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Identified, Model, new_id, one_of
from app.domain.permissions import Role


class User(Identified, Model):
    """A person; operators belong to no organization, everybody else to exactly one.

    Without a `password_hash` the person signs in through the identity provider alone. The second factor counts from
    `totp_confirmed_at` on; a code of a time step up to `totp_last_step` was used and is never taken again. A pending
    secret replaces the one in force when the first code of it is shown.
    """

    __tablename__ = "users"

    organization_id: Mapped[UUID | None] = mapped_column(ForeignKey("organizations.id"))
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    role: Mapped[str]
    password_hash: Mapped[str | None]
    disabled_at: Mapped[datetime | None]
    totp_secret_encrypted: Mapped[bytes | None]
    totp_pending_encrypted: Mapped[bytes | None]
    totp_confirmed_at: Mapped[datetime | None]
    totp_last_step: Mapped[int | None] = mapped_column(BigInteger)

    __table_args__ = (
        Index("ix_users_organization_id", "organization_id"),
        one_of("role", Role),
        CheckConstraint("(role = 'OPERATOR') = (organization_id IS NULL)", name="operator_has_no_organization"),
        CheckConstraint("email = lower(email)", name="email_is_lower_case"),
    )


class LoginSession(Model):
    """A login; only the SHA-256 of its token is stored.

    `proven_at` is when the person last showed a password or a second factor in it, `second_factor_at` when a second
    factor was shown for it, here or at the identity provider.
    """

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    proven_at: Mapped[datetime | None]
    second_factor_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    ip: Mapped[IPv4Address | IPv6Address | None] = mapped_column(INET)
    user_agent: Mapped[str | None]

    __table_args__ = (Index("ix_sessions_user_id", "user_id"),)


class UserAddress(Model):
    """An address from which a user has signed in: somebody who comes from there is no stranger."""

    __tablename__ = "user_addresses"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    address: Mapped[str] = mapped_column(primary_key=True)
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]


class RecoveryCode(Model):
    """A code that stands in for the second factor once; only its SHA-256 is stored."""

    __tablename__ = "recovery_codes"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    code_hash: Mapped[bytes]
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]

    __table_args__ = (Index("ix_recovery_codes_user_id", "user_id"),)


class PasswordReset(Model):
    """A wish for a new password; only the SHA-256 of the token that was mailed is stored."""

    __tablename__ = "password_resets"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]

    __table_args__ = (Index("ix_password_resets_user_id", "user_id"),)


class Identity(Model):
    """Who a user is at an identity provider (OpenID Connect): its issuer, and the subject there."""

    __tablename__ = "identities"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    issuer: Mapped[str]
    subject: Mapped[str]
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("issuer", "subject"), Index("ix_identities_user_id", "user_id"))
