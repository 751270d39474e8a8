"""Audit events: what was changed, by whom, from where; and the chain that seals them."""

from __future__ import annotations

from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Model, new_id


class AuditEvent(Model):
    """A change that was made, written in the same transaction as the change, and never changed.

    It goes only when it is sealed, archived, and covered by a base of the chain.
    """

    __tablename__ = "audit_events"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    occurred_at: Mapped[datetime]
    event: Mapped[str]
    subject_id: Mapped[str]
    organization_id: Mapped[UUID | None]
    actor_kind: Mapped[str]
    actor_id: Mapped[UUID | None]
    ip: Mapped[IPv4Address | IPv6Address | None] = mapped_column(INET)
    request_id: Mapped[str | None]
    data: Mapped[dict[str, Any]]

    __table_args__ = (
        Index("ix_audit_events_organization_id_id", "organization_id", "id"),
        Index("ix_audit_events_subject_id_id", "subject_id", "id"),
        Index("ix_audit_events_actor_id_id", "actor_id", "id"),
        Index("ix_audit_events_event_id", "event", "id"),
        Index("ix_audit_events_ip_id", "ip", "id"),
        Index("ix_audit_events_request_id", "request_id"),
        Index("ix_audit_events_occurred_at", "occurred_at", postgresql_using="brin"),
    )


class AuditLink(Model):
    """One link of the chain that seals the audit trail: the keyed hash over the event and the link before it."""

    __tablename__ = "audit_links"

    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    event_id: Mapped[UUID] = mapped_column(unique=True)
    hash: Mapped[bytes]
    sealed_at: Mapped[datetime]


class UnsealedAuditEvent(Model):
    """An event that waits for its link; a trigger of `audit_events` puts it here, whoever wrote the event."""

    __tablename__ = "audit_unsealed"

    event_id: Mapped[UUID] = mapped_column(primary_key=True)


class AuditBase(Model):
    """Where the chain begins since its oldest part was archived; sealed by its key, so that nobody else makes one.

    The database lets events and links go only up to the highest base.
    """

    __tablename__ = "audit_bases"

    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    hash: Mapped[bytes]
    archive_id: Mapped[UUID]
    archive_sha256: Mapped[str]
    seal_hash: Mapped[bytes]
    created_at: Mapped[datetime]
