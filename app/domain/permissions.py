"""Who may do what: permissions, roles and the caller."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from app.domain.errors import Denied, SecondFactorMissing, SecondFactorSetupRequired

API_KEY_PREFIX = "itsk_"
SESSION_TOKEN_PREFIX = "itss_"  # noqa: S105 - what a token begins with
INVITATION_TOKEN_PREFIX = "itsi_"  # noqa: S105 - what a token begins with
PASSWORD_TOKEN_PREFIX = "itsp_"  # noqa: S105 - what a token begins with
REGISTRATION_TOKEN_PREFIX = "itsr_"  # noqa: S105 - what a token begins with

SESSION_LIFETIME = timedelta(hours=12)
"""A session ends then, however much it is used."""
SESSION_IDLE_END = timedelta(hours=2)
"""A session that was not used for so long has ended."""


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
    OPS_MAINTAIN = "ops:maintain"
    OPS_BACKUP = "ops:backup"
    OPS_RESTORE = "ops:restore"


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
    SCHEDULE = "schedule"
    MACHINE = "machine"
    ANONYMOUS = "anonymous"


class MissingFactor(StrEnum):
    """Why a session may do nothing yet but what its person needs to change that."""

    SETUP = "setup"
    """Operators must have a second factor here, and this one has none."""
    PROOF = "proof"
    """The person has a second factor, which was not shown for this session."""


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
    missing_factor: MissingFactor | None = None

    def of_user(self, user_id: UUID, organization_id: UUID | None) -> Principal:
        """The same caller, who has shown to be this user by a token from the user's mailbox."""
        return replace(self, kind=PrincipalKind.USER, id=user_id, organization_id=organization_id)

    def require(self, permission: Permission) -> None:
        """Raise Denied unless the caller has the permission."""
        if self.missing_factor is MissingFactor.SETUP:
            raise SecondFactorSetupRequired
        self.require_shown_factor()
        if permission not in self.permissions:
            raise Denied.without(permission)

    def require_shown_factor(self) -> None:
        """Raise SecondFactorMissing while the person's second factor was not shown for the session."""
        if self.missing_factor is MissingFactor.PROOF:
            raise SecondFactorMissing


COMMAND_LINE = Principal(PrincipalKind.COMMAND_LINE, None, None, frozenset(Permission))
"""Whoever may read the server's settings may do everything."""

SCHEDULES = Principal(PrincipalKind.SCHEDULE, None, None, frozenset())
"""The schedules: what they start was allowed when they were set."""
