"""API keys in JSON."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field

from app.domain.permissions import Permission
from app.web.schemas.base import Moment, Out, OutMoment, Text, Wish


class CreateApiKey(Wish):
    """A new credential for a program; of the installation when `organizationId` is left out."""

    name: Text
    scopes: Annotated[frozenset[Permission], Field(min_length=1)]
    organization_id: UUID | None = None
    expires_at: Moment | None = None


class ApiKeyOut(Out):
    """A credential without its secret; `prefix` tells which one it is."""

    id: UUID
    organization_id: UUID | None
    name: str
    prefix: str
    scopes: list[str]
    expires_at: OutMoment | None
    revoked_at: OutMoment | None
    created_at: OutMoment


class CreatedApiKeyOut(ApiKeyOut):
    """A credential with its secret, which is shown only here."""

    api_key: str
