"""API keys: credentials for programs."""

from __future__ import annotations

from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Identified, Model


class ApiKey(Identified, Model):
    """A credential with scopes; of an organization, or of the installation when `organization_id` is None."""

    __tablename__ = "api_keys"

    organization_id: Mapped[UUID | None] = mapped_column(ForeignKey("organizations.id"))
    name: Mapped[str]
    prefix: Mapped[str]
    secret_hash: Mapped[bytes] = mapped_column(unique=True)
    scopes: Mapped[list[str]]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    last_used_ip: Mapped[IPv4Address | IPv6Address | None] = mapped_column(INET)
    replaced_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("api_keys.id"))

    __table_args__ = (Index("ix_api_keys_organization_id", "organization_id"),)
