"""API keys in JSON."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Annotated
from uuid import UUID

from pydantic import Field

from app.domain.permissions import Permission
from app.web.schemas.base import Moment, Out, OutMoment, Text, Wish

MAX_OVERLAP_HOURS = 720


class CreateApiKey(Wish):
    """A new credential for a program; without `organizationId` of the caller's own organization or installation."""

    name: Text
    scopes: Annotated[frozenset[Permission], Field(min_length=1)]
    organization_id: UUID | None = None
    expires_at: Moment | None = None


class RotateApiKey(Wish):
    """A new secret in place of an old one, which goes on for so many hours."""

    overlap_hours: Annotated[int, Field(strict=True, ge=0, le=MAX_OVERLAP_HOURS)] = 24


class ApiKeyOut(Out):
    """A credential without its secret; `prefix` tells which one it is, `lastUsedAt` is exact to a minute."""

    id: UUID
    organization_id: UUID | None
    name: str
    prefix: str
    scopes: list[str]
    expires_at: OutMoment | None
    revoked_at: OutMoment | None
    last_used_at: OutMoment | None
    last_used_ip: IPv4Address | IPv6Address | None
    replaced_by_id: UUID | None
    created_at: OutMoment


class CreatedApiKeyOut(ApiKeyOut):
    """A credential with its secret, which is shown only here."""

    api_key: str
