"""Who may be made what and where; nobody shuts themselves out."""

from __future__ import annotations

from uuid import UUID

import pytest

from app.domain.errors import Denied, DomainError, Invalid, OwnAccount
from app.domain.permissions import COMMAND_LINE, ROLE_PERMISSIONS, Permission, Principal, PrincipalKind, Role
from app.domain.users import require_other_account, require_placeable

OWN, OTHER = UUID(int=1), UUID(int=2)
OPERATOR = Principal(PrincipalKind.USER, UUID(int=7), None, ROLE_PERMISSIONS[Role.OPERATOR])
ADMIN = Principal(PrincipalKind.USER, UUID(int=8), OWN, ROLE_PERMISSIONS[Role.ADMIN])
PROGRAM = Principal(PrincipalKind.API_KEY, UUID(int=9), None, frozenset({Permission.USERS_WRITE}))


@pytest.mark.parametrize(
    ("caller", "role", "organization_id"),
    [
        (OPERATOR, Role.OPERATOR, None),
        (OPERATOR, Role.ADMIN, OTHER),
        (COMMAND_LINE, Role.OPERATOR, None),
        (ADMIN, Role.ADMIN, OWN),
        (ADMIN, Role.VIEWER, OWN),
    ],
)
def test_people_are_placed_by_those_who_may(caller: Principal, role: Role, organization_id: UUID | None) -> None:
    require_placeable(caller, role, organization_id)


@pytest.mark.parametrize(
    ("caller", "role", "organization_id", "error"),
    [
        (ADMIN, Role.OPERATOR, None, Denied),
        (ADMIN, Role.MEMBER, OTHER, Denied),
        (ADMIN, Role.MEMBER, None, Denied),
        (PROGRAM, Role.OPERATOR, None, Denied),
        (PROGRAM, Role.VIEWER, OWN, Denied),
        (OPERATOR, Role.OPERATOR, OWN, Invalid),
        (OPERATOR, Role.ADMIN, None, Invalid),
    ],
)
def test_nobody_is_placed_beyond_the_callers_own_rights(
    caller: Principal, role: Role, organization_id: UUID | None, error: type[DomainError]
) -> None:
    with pytest.raises(error):
        require_placeable(caller, role, organization_id)


def test_only_ones_own_account_is_ones_own() -> None:
    require_other_account(OPERATOR, UUID(int=8))
    require_other_account(PROGRAM, UUID(int=9))
    with pytest.raises(OwnAccount):
        require_other_account(OPERATOR, UUID(int=7))
