"""Permissions: who may do what, and what a tenant never may."""

from __future__ import annotations

import pytest

from app.domain.errors import Denied
from app.domain.permissions import (
    COMMAND_LINE,
    ORGANIZATION_SCOPES,
    ROLE_PERMISSIONS,
    Permission,
    Principal,
    PrincipalKind,
    Role,
    hash_secret,
)


def test_a_key_of_an_organization_reads_and_changes_nothing_but_its_machines() -> None:
    assert sorted(ORGANIZATION_SCOPES) == [
        "licenses:read",
        "machines:write",
        "organizations:read",
        "plans:read",
        "products:read",
    ]


def test_every_permission_is_a_noun_with_a_verb() -> None:
    for permission in Permission:
        noun, _, verb = permission.partition(":")
        assert noun.replace("-", "").isalpha(), permission
        assert verb in {"read", "write", "maintain", "backup", "restore"}, permission


def test_operators_and_the_command_line_may_do_everything() -> None:
    assert ROLE_PERMISSIONS[Role.OPERATOR] == set(Permission)
    assert COMMAND_LINE.permissions == set(Permission)
    assert COMMAND_LINE.organization_id is None


@pytest.mark.parametrize(
    ("role", "writes"),
    [
        (Role.ADMIN, ["api-keys:write", "machines:write", "users:write"]),
        (Role.MEMBER, ["machines:write"]),
        (Role.VIEWER, []),
    ],
)
def test_people_inside_an_organization_change_its_people_and_machines_and_no_license(
    role: Role, writes: list[str]
) -> None:
    assert sorted(permission for permission in ROLE_PERMISSIONS[role] if permission.endswith(":write")) == writes


def test_every_role_has_its_permissions() -> None:
    assert set(ROLE_PERMISSIONS) == set(Role)


@pytest.mark.parametrize("permission", list(Permission))
def test_a_permission_is_denied_by_name_exactly_when_it_is_missing(permission: Permission) -> None:
    having = Principal(PrincipalKind.API_KEY, None, None, frozenset({permission}))
    lacking = Principal(PrincipalKind.API_KEY, None, None, frozenset(Permission) - {permission})

    having.require(permission)
    with pytest.raises(Denied, match=permission.value):
        lacking.require(permission)


def test_a_secret_is_hashed_with_sha_256() -> None:
    assert hash_secret("itsk_x") == bytes.fromhex("4d857416461cee27c1a58782cf6abd09516644dacb5b79612392f73600f36584")
