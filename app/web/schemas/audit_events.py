"""The audit trail in JSON."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Any
from uuid import UUID

from app.web.schemas.base import Out, OutMoment


class ActorOut(Out):
    """Who did it; `name` is the e-mail address of a user and the name of an API key, null for others."""

    kind: str
    id: UUID | None
    name: str | None


class AuditEventOut(Out):
    """Something that was done; `position` is its place in the sealed chain, null for its first second or so."""

    id: UUID
    occurred_at: OutMoment
    event: str
    subject_id: str
    organization_id: UUID | None
    actor: ActorOut
    ip: IPv4Address | IPv6Address | None
    request_id: str | None
    data: dict[str, Any]
    position: int | None
    is_sealed: bool
