"""API keys: shown once, given away only within the giver's own rights, and ended at once."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from app.db.session import Session
from app.domain.errors import ApiKeyNotFound, Denied, Invalid, OrganizationNotFound
from app.domain.pages import PageRequest
from app.domain.permissions import Permission, Principal, PrincipalKind, hash_secret
from app.services import api_keys, authentication
from app.services.api_keys import CreateApiKey
from app.services.authentication import Origin
from tests.factories.store import NOW, make_organization
from tests.services.conftest import trail

READ = frozenset({Permission.LICENSES_READ})
WRITE = frozenset({Permission.LICENSES_WRITE})
ORIGIN = Origin("192.0.2.8", "request-2")


def tenant(organization_id: UUID, *permissions: Permission) -> Principal:
    return Principal(PrincipalKind.API_KEY, UUID(int=7), organization_id, frozenset(permissions))


async def test_a_key_tells_who_is_calling_and_is_stored_as_hash_alone(tx: Session, caller: Principal) -> None:
    organization = await make_organization(tx)

    api_key, secret = await api_keys.create(tx, caller, CreateApiKey("ci", READ, organization.id), now=NOW)

    assert secret.startswith("itsk_")
    assert (api_key.secret_hash, api_key.prefix) == (hash_secret(secret), secret[:12])
    assert await authentication.identify(tx, secret, ORIGIN, now=NOW) == Principal(
        PrincipalKind.API_KEY, api_key.id, organization.id, READ, None, "192.0.2.8", "request-2"
    )
    [event] = await trail(tx, api_key.id)
    assert (event.event, event.organization_id, event.data) == (
        "api_key.created",
        organization.id,
        {"after": {"name": "ci", "scopes": ["licenses:read"]}},
    )
    assert secret not in str(event.data)


async def test_nobody_gives_away_what_he_does_not_have(tx: Session) -> None:
    poor = Principal(PrincipalKind.API_KEY, None, None, READ | {Permission.API_KEYS_WRITE})

    with pytest.raises(Denied, match="licenses:write"):
        await api_keys.create(tx, poor, CreateApiKey("ci", READ | WRITE), now=NOW)
    await api_keys.create(tx, poor, CreateApiKey("ci", READ), now=NOW)


async def test_a_tenant_makes_no_key_for_others_nor_for_the_installation(tx: Session) -> None:
    own, other = await make_organization(tx), await make_organization(tx)
    member = tenant(own.id, *READ)

    for organization_id in (other.id, None):
        with pytest.raises(Denied, match="your own organization"):
            await api_keys.create(tx, member, CreateApiKey("ci", READ, organization_id), now=NOW)
    await api_keys.create(tx, member, CreateApiKey("ci", READ, own.id), now=NOW)


async def test_a_key_of_an_organization_changes_nothing_but_its_machines(tx: Session, caller: Principal) -> None:
    organization = await make_organization(tx)

    for scope in Permission:
        wish = CreateApiKey("ci", frozenset({scope}), organization.id)
        if scope in {"licenses:read", "organizations:read", "products:read", "plans:read", "machines:write"}:
            await api_keys.create(tx, caller, wish, now=NOW)
        else:
            with pytest.raises(Invalid, match=scope.value):
                await api_keys.create(tx, caller, wish, now=NOW)


async def test_a_key_needs_an_organization_that_exists_and_an_end_to_come(tx: Session, caller: Principal) -> None:
    with pytest.raises(OrganizationNotFound):
        await api_keys.create(tx, caller, CreateApiKey("ci", READ, UUID(int=9)), now=NOW)
    with pytest.raises(Invalid, match="past"):
        await api_keys.create(tx, caller, CreateApiKey("ci", READ, expires_at=NOW), now=NOW)


async def test_a_key_ends_at_its_moment(tx: Session, caller: Principal) -> None:
    end = NOW + timedelta(hours=1)
    _, secret = await api_keys.create(tx, caller, CreateApiKey("ci", READ, expires_at=end), now=NOW)

    before = await authentication.identify(tx, secret, ORIGIN, now=end - timedelta(seconds=1))
    after = await authentication.identify(tx, secret, ORIGIN, now=end)

    assert before is not None
    assert after is None


async def test_a_revoked_key_ends_at_once_and_revoking_twice_is_harmless(tx: Session, caller: Principal) -> None:
    api_key, secret = await api_keys.create(tx, caller, CreateApiKey("ci", READ), now=NOW)

    for _ in range(2):
        await api_keys.revoke(tx, caller, api_key.id, now=NOW)
        await tx.flush()

    assert await authentication.identify(tx, secret, ORIGIN, now=NOW) is None
    assert [event.event for event in await trail(tx, api_key.id)] == ["api_key.created", "api_key.revoked"]


async def test_a_strangers_key_is_not_found_and_not_listed(tx: Session, caller: Principal) -> None:
    own, other = await make_organization(tx), await make_organization(tx)
    api_key, _ = await api_keys.create(tx, caller, CreateApiKey("ci", READ, other.id), now=NOW)

    with pytest.raises(ApiKeyNotFound):
        await api_keys.revoke(tx, tenant(own.id), api_key.id, now=NOW)
    assert list((await api_keys.list_page(tx, tenant(own.id), PageRequest())).items) == []
    assert [one.id for one in (await api_keys.list_page(tx, tenant(other.id), PageRequest())).items] == [api_key.id]


@pytest.mark.parametrize("credential", ["", "itsk_", "itsk_x", "itss_x", "x", "\0", "ü" * 1000])
async def test_an_unknown_credential_is_nobody(tx: Session, credential: str) -> None:
    assert await authentication.identify(tx, credential, ORIGIN, now=NOW) is None


async def test_a_scope_that_this_release_does_not_know_gives_no_right(tx: Session, caller: Principal) -> None:
    api_key, secret = await api_keys.create(tx, caller, CreateApiKey("ci", READ), now=NOW)
    api_key.scopes = ["licenses:read", "unheard:of"]
    await tx.flush()

    found = await authentication.identify(tx, secret, ORIGIN, now=NOW)

    assert found is not None
    assert found.permissions == READ
