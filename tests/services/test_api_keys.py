"""API keys: shown once, given away only within the giver's own rights, and ended at once."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from ipaddress import ip_address
from uuid import UUID

import pytest

from app.db.engine import Database
from app.db.models import ApiKey
from app.db.session import Session
from app.domain.errors import ApiKeyNotFound, ApiKeyStateConflict, Denied, Invalid, OrganizationNotFound
from app.domain.pages import PageRequest
from app.domain.permissions import Permission, Principal, PrincipalKind, hash_secret
from app.services import api_keys, authentication
from app.services.api_keys import CreateApiKey
from app.services.authentication import Origin, Refusal, RefusalReason
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

    with pytest.raises(Denied, match="your own organization"):
        await api_keys.create(tx, member, CreateApiKey("ci", READ, other.id), now=NOW)
    for organization_id in (own.id, None):
        api_key, _ = await api_keys.create(tx, member, CreateApiKey("ci", READ, organization_id), now=NOW)
        assert api_key.organization_id == own.id


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


async def _used(tx: Session, api_key: ApiKey) -> tuple[datetime | None, object]:
    await tx.refresh(api_key)
    return api_key.last_used_at, api_key.last_used_ip


async def test_the_last_use_is_kept_and_written_at_most_once_a_minute(tx: Session, caller: Principal) -> None:
    api_key, secret = await api_keys.create(tx, caller, CreateApiKey("ci", READ), now=NOW)
    assert await _used(tx, api_key) == (None, None)

    used = []
    for seconds, ip in ((0, "192.0.2.8"), (59, "192.0.2.9"), (60, "2001:db8::1")):
        await authentication.identify(tx, secret, Origin(ip), now=NOW + timedelta(seconds=seconds))
        used.append(await _used(tx, api_key))

    assert used == [
        (NOW, ip_address("192.0.2.8")),
        (NOW, ip_address("192.0.2.8")),
        (NOW + timedelta(minutes=1), ip_address("2001:db8::1")),
    ]


async def test_a_key_that_is_locked_by_somebody_is_still_let_in_at_once(database: Database, caller: Principal) -> None:
    async with database.transaction() as tx:
        api_key, secret = await api_keys.create(tx, caller, CreateApiKey("ci", READ), now=NOW)

    async with database.transaction() as rotating:
        await api_keys.rotate(rotating, caller, api_key.id, timedelta(), now=NOW)
        async with database.transaction() as tx, asyncio.timeout(2.5):
            found = await authentication.identify(tx, secret, ORIGIN, now=NOW)

    assert found is not None


async def test_a_rotated_key_has_a_successor_and_goes_on_for_the_overlap(tx: Session, caller: Principal) -> None:
    organization = await make_organization(tx)
    old, old_secret = await api_keys.create(tx, caller, CreateApiKey("ci", READ, organization.id), now=NOW)

    new, secret = await api_keys.rotate(tx, caller, old.id, timedelta(hours=24), now=NOW)

    assert (new.name, new.scopes, new.organization_id) == ("ci", ["licenses:read"], organization.id)
    assert new.expires_at is None
    assert (old.replaced_by_id, old.expires_at) == (new.id, NOW + timedelta(hours=24))
    for hours, usable in ((23, [True, True]), (24, [False, True])):
        now = NOW + timedelta(hours=hours)
        found = [await authentication.identify(tx, shown, ORIGIN, now=now) for shown in (old_secret, secret)]
        assert [one is not None for one in found] == usable
    assert [event.event for event in await trail(tx, old.id)] == ["api_key.created", "api_key.rotated"]
    assert (await trail(tx, old.id))[-1].data["after"]["replacedById"] == str(new.id)
    assert [event.event for event in await trail(tx, new.id)] == ["api_key.created"]


async def test_a_rotation_never_prolongs_the_old_key_and_gives_the_new_one_the_same_lifetime(
    tx: Session, caller: Principal
) -> None:
    wish = CreateApiKey("ci", READ, expires_at=NOW + timedelta(days=90))
    old, _ = await api_keys.create(tx, caller, wish, now=NOW)
    later = NOW + timedelta(days=89, hours=12)

    new, _ = await api_keys.rotate(tx, caller, old.id, timedelta(days=30), now=later)

    assert old.expires_at == NOW + timedelta(days=90)
    assert new.expires_at == later + timedelta(days=90)


async def test_a_key_that_has_ended_or_was_replaced_is_not_rotated(tx: Session, caller: Principal) -> None:
    revoked, _ = await api_keys.create(tx, caller, CreateApiKey("ci", READ), now=NOW)
    expired, _ = await api_keys.create(tx, caller, CreateApiKey("ci", READ, expires_at=NOW + timedelta(1)), now=NOW)
    replaced, _ = await api_keys.create(tx, caller, CreateApiKey("ci", READ), now=NOW)
    await api_keys.revoke(tx, caller, revoked.id, now=NOW)
    await api_keys.rotate(tx, caller, replaced.id, timedelta(days=9), now=NOW)

    for api_key, reason in ((revoked, "revoked"), (expired, "expired"), (replaced, "replaced")):
        with pytest.raises(ApiKeyStateConflict, match=reason):
            await api_keys.rotate(tx, caller, api_key.id, timedelta(), now=NOW + timedelta(days=1))


async def test_nobody_rotates_a_key_with_more_rights_or_of_a_stranger(tx: Session, caller: Principal) -> None:
    own, other = await make_organization(tx), await make_organization(tx)
    strong, _ = await api_keys.create(tx, caller, CreateApiKey("ci", WRITE), now=NOW)
    foreign, _ = await api_keys.create(tx, caller, CreateApiKey("ci", READ, other.id), now=NOW)

    with pytest.raises(Denied, match="licenses:write"):
        await api_keys.rotate(tx, Principal(PrincipalKind.API_KEY, None, None, READ), strong.id, timedelta(), now=NOW)
    for api_key in (strong, foreign):
        with pytest.raises(ApiKeyNotFound):
            await api_keys.rotate(tx, tenant(own.id, *READ), api_key.id, timedelta(), now=NOW)


async def test_of_two_rotations_at_once_one_wins(database: Database, caller: Principal) -> None:
    async with database.transaction() as tx:
        api_key, _ = await api_keys.create(tx, caller, CreateApiKey("ci", READ), now=NOW)

    async def rotate() -> str:
        try:
            async with database.transaction() as tx:
                await api_keys.rotate(tx, caller, api_key.id, timedelta(hours=1), now=NOW)
        except ApiKeyStateConflict as error:
            return error.code
        return "rotated"

    assert sorted(await asyncio.gather(rotate(), rotate())) == ["API_KEY_STATE_CONFLICT", "rotated"]


async def test_why_a_key_is_refused_is_known_to_the_log(tx: Session, caller: Principal) -> None:
    revoked, revoked_secret = await api_keys.create(tx, caller, CreateApiKey("ci", READ), now=NOW)
    expired, expired_secret = await api_keys.create(
        tx, caller, CreateApiKey("ci", READ, expires_at=NOW + timedelta(1)), now=NOW
    )
    await api_keys.revoke(tx, caller, revoked.id, now=NOW)

    found = [await authentication.explain_refusal(tx, shown) for shown in (revoked_secret, expired_secret, "itsk_x")]

    assert found == [
        Refusal(RefusalReason.REVOKED, PrincipalKind.API_KEY, revoked.id),
        Refusal(RefusalReason.EXPIRED, PrincipalKind.API_KEY, expired.id),
        Refusal(RefusalReason.UNKNOWN),
    ]
