"""Who may do what: permissions, roles and the caller."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from app.domain.errors import Denied

API_KEY_PREFIX = "itsk_"
SESSION_TOKEN_PREFIX = "itss_"  # noqa: S105 - what a token begins with
INVITATION_TOKEN_PREFIX = "itsi_"  # noqa: S105 - what a token begins with
PASSWORD_TOKEN_PREFIX = "itsp_"  # noqa: S105 - what a token begins with
REGISTRATION_TOKEN_PREFIX = "itsr_"  # noqa: S105 - what a token begins with


def hash_secret(secret: str) -> bytes:
    """SHA-256 of a random secret: enough for 256 random bits, and quick to look up."""
    return hashlib.sha256(secret.encode()).digest()


class Permission(StrEnum):
    """One thing that a caller may be allowed to do; API keys carry them as scopes."""

    LICENSES_READ = "licenses:read"
    LICENSES_WRITE = "licenses:write"
    MACHINES_WRITE = "machines:write"
    ORGANIZATIONS_READ = "organizations:read"
    ORGANIZATIONS_WRITE = "organizations:write"
    PRODUCTS_READ = "products:read"
    PRODUCTS_WRITE = "products:write"
    PLANS_READ = "plans:read"
    PLANS_WRITE = "plans:write"
    API_KEYS_READ = "api-keys:read"
    API_KEYS_WRITE = "api-keys:write"
    USERS_READ = "users:read"
    USERS_WRITE = "users:write"
    AUDIT_READ = "audit:read"
    OPS_READ = "ops:read"


class Role(StrEnum):
    """What a person is: an operator of the installation, or somebody inside an organization."""

    OPERATOR = "OPERATOR"
    ADMIN = "ADMIN"
    MEMBER = "MEMBER"
    VIEWER = "VIEWER"


_TENANT_READS = frozenset(
    {
        Permission.LICENSES_READ,
        Permission.ORGANIZATIONS_READ,
        Permission.PRODUCTS_READ,
        Permission.PLANS_READ,
    }
)

ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.OPERATOR: frozenset(Permission),
    Role.ADMIN: _TENANT_READS
    | {
        Permission.MACHINES_WRITE,
        Permission.API_KEYS_READ,
        Permission.API_KEYS_WRITE,
        Permission.USERS_READ,
        Permission.USERS_WRITE,
        Permission.AUDIT_READ,
    },
    Role.MEMBER: _TENANT_READS | {Permission.MACHINES_WRITE},
    Role.VIEWER: _TENANT_READS,
}

ORGANIZATION_SCOPES = _TENANT_READS | {Permission.MACHINES_WRITE}
"""The scopes that a key of an organization may carry: tenants never issue licenses to themselves."""


class PrincipalKind(StrEnum):
    """What kind of credential the caller showed."""

    USER = "user"
    API_KEY = "api_key"
    COMMAND_LINE = "command_line"
    MACHINE = "machine"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling and from where; an `organization_id` of None means the installation: all organizations.

    `proven_at` is when a person last showed a password or a second factor in this session.
    """

    kind: PrincipalKind
    id: UUID | None
    organization_id: UUID | None
    permissions: frozenset[Permission]
    session_id: UUID | None = None
    ip: str | None = None
    request_id: str | None = None
    proven_at: datetime | None = None

    def of_user(self, user_id: UUID, organization_id: UUID | None) -> Principal:
        """The same caller, who has shown to be this user by a token from the user's mailbox."""
        return replace(self, kind=PrincipalKind.USER, id=user_id, organization_id=organization_id)

    def require(self, permission: Permission) -> None:
        """Raise Denied unless the caller has the permission."""
        if permission not in self.permissions:
            raise Denied(f"This needs the permission {permission}, which the caller does not have.")


COMMAND_LINE = Principal(PrincipalKind.COMMAND_LINE, None, None, frozenset(Permission))
"""Whoever may read the server's settings may do everything."""
