"""Where people belong, and who may put them there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from app.domain.errors import Denied, Invalid, OwnAccount
from app.domain.permissions import ROLE_PERMISSIONS, Principal, PrincipalKind, Role

INVITATION_LIFETIME = timedelta(hours=72)
FIRST_PASSWORD_LIFETIME = timedelta(hours=72)
RESET_LIFETIME = timedelta(hours=1)
REGISTRATION_LIFETIME = timedelta(hours=24)

MAX_INVITATIONS_A_DAY = 200
"""Of one organization by its own admins: whoever registers one gets no way to mail strangers without end."""
MAX_INVITATIONS_OF_ONE_A_DAY = 5
MAX_LIVING_RESETS = 3
MAX_LIVING_REGISTRATIONS = 3
"""Of one address: whoever asks for mail to somebody else again and again is not served."""


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which users are wanted; None is all of them."""

    organization_id: UUID | None = None
    role: Role | None = None
    email: str | None = None


def require_placeable(caller: Principal, role: Role, organization_id: UUID | None) -> None:
    """Raise Denied or Invalid unless the caller may make somebody this there."""
    missing = ROLE_PERMISSIONS[role] - caller.permissions
    if missing:
        names = ", ".join(sorted(missing))
        raise Denied(f"Nobody can give away permissions that they do not have; {role} has these: {names}.")
    if caller.organization_id is not None and organization_id != caller.organization_id:
        raise Denied("People can only be placed in your own organization.")
    if role is Role.OPERATOR and organization_id is not None:
        raise Invalid("Operators belong to no organization; leave `organizationId` out.")
    if role is not Role.OPERATOR and organization_id is None:
        raise Invalid("Everybody but operators belongs to an organization; name it in `organizationId`.")


def require_power_over(caller: Principal, role: Role) -> None:
    """Raise Denied where a key of few scopes would shut an operator out, or take an operator's second factor."""
    if role is Role.OPERATOR and ROLE_PERMISSIONS[role] - caller.permissions:
        raise Denied("The accounts of operators are only for callers who have all permissions of an operator.")


def require_other_account(caller: Principal, user_id: UUID) -> None:
    """Raise OwnAccount where somebody would shut themselves out."""
    if caller.kind is PrincipalKind.USER and caller.id == user_id:
        raise OwnAccount
