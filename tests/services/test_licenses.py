"""Licenses: issued with the terms of their plan, changed by rule, and every change leaves its trace."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.db.models import License
from app.db.session import Session
from app.domain.errors import (
    InvalidPeriod,
    LicenseNotFound,
    LicenseStateConflict,
    OrganizationNotFound,
    PlanNotFound,
    TooManyProducts,
    UnknownProducts,
)
from app.domain.license_keys import hash_license_key
from app.domain.licenses import LicenseFilter
from app.domain.pages import PageRequest
from app.domain.permissions import Permission, Principal, PrincipalKind
from app.services import licenses
from app.services.licenses import IssueLicense
from tests.factories.store import NOW, VAULT, make_license, make_organization, make_product
from tests.services.conftest import trail

LATER = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
END = datetime(2027, 1, 1, tzinfo=UTC)
NOBODY = UUID("00000000-0000-7000-8000-000000000000")


def tenant(organization_id: UUID) -> Principal:
    return Principal(PrincipalKind.API_KEY, NOBODY, organization_id, frozenset({Permission.LICENSES_READ}))


async def last_event(tx: Session, license: License) -> tuple[str, dict[str, Any]]:
    event = (await trail(tx, license.id))[-1]
    return event.event, event.data


def turned(before: str, after: str) -> dict[str, Any]:
    return {"changed": ["status"], "before": {"status": before}, "after": {"status": after}}


async def test_issuing_is_recorded_with_who_and_where(tx: Session, caller: Principal) -> None:
    organization = await make_organization(tx)

    license, _ = await licenses.issue(tx, caller, VAULT, IssueLicense(organization.id, "STARTER"), now=NOW)

    [event] = await trail(tx, license.id)
    assert (event.event, event.organization_id, event.data) == (
        "license.issued",
        organization.id,
        {
            "plan": "Starter",
            "after": {
                "tier": "STARTER",
                "maxUsers": 25,
                "maxProducts": 5,
                "allowedProducts": [],
                "features": {"email_support": True},
                "machineBinding": "AUTOMATIC",
                "isTrial": False,
            },
        },
    )
    assert (event.actor_kind, event.actor_id, str(event.ip), event.request_id, event.occurred_at) == (
        "user",
        UUID("019a0000-0000-7000-8000-0000000000aa"),
        "192.0.2.7",
        "request-1",
        NOW,
    )


async def test_a_license_has_the_terms_of_its_tier(tx: Session) -> None:
    license, _ = await make_license(tx, tier="PROFESSIONAL")

    assert (license.max_users, license.max_products, license.max_machines, license.allowed_products) == (
        100,
        15,
        None,
        [],
    )
    assert license.features == {"priority_support": True, "custom_branding": True}
    assert (license.is_trial, license.trial_ends_at, license.expires_at) == (False, None, None)


async def test_a_trial_ends_thirty_days_after_its_start(tx: Session) -> None:
    at_once, _ = await make_license(tx, tier="TRIAL")
    later, _ = await make_license(tx, tier="TRIAL", starts_at=LATER)

    assert at_once.trial_ends_at == datetime(2026, 3, 31, 12, 0, tzinfo=UTC)
    assert later.trial_ends_at == datetime(2026, 4, 1, 12, 0, tzinfo=UTC)


async def test_limits_that_are_given_override_the_plan_and_none_means_no_limit(tx: Session) -> None:
    license, _ = await make_license(tx, tier="STARTER", max_users=7, max_products=None)

    assert (license.max_users, license.max_products, license.allowed_products) == (7, None, None)


async def test_a_license_key_is_stored_as_hash_and_encrypted_and_nowhere_else(tx: Session) -> None:
    license, license_key = await make_license(tx)

    assert license.license_key_hash == hash_license_key(license_key)
    assert license_key.encode() not in license.license_key_encrypted
    assert VAULT.decrypt(license.license_key_encrypted) == license_key
    assert license_key not in str([event.data for event in await trail(tx, license.id)])


async def test_an_imported_license_key_keeps_its_shape(tx: Session) -> None:
    _, license_key = await make_license(tx, license_key=" legacy/Key_1 ")

    assert license_key == "legacy/Key_1"


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"tier": "PLATINUM"}, PlanNotFound),
        ({"plan_id": NOBODY}, PlanNotFound),
        ({"allowed_products": ("unheard-of",)}, UnknownProducts),
        ({"tier": "TRIAL", "allowed_products": ("a", "b", "c", "d")}, TooManyProducts),
        ({"expires_at": NOW}, InvalidPeriod),
        ({"starts_at": END, "expires_at": LATER}, InvalidPeriod),
    ],
)
async def test_a_wish_that_cannot_be_granted_is_refused(
    tx: Session, caller: Principal, fields: dict[str, Any], error: type[Exception]
) -> None:
    organization = await make_organization(tx)
    wish = IssueLicense(**{"organization_id": organization.id, "tier": "UNLIMITED", **fields})

    with pytest.raises(error):
        await licenses.issue(tx, caller, VAULT, wish, now=NOW)


async def test_a_license_needs_an_organization(tx: Session, caller: Principal) -> None:
    with pytest.raises(OrganizationNotFound):
        await licenses.issue(tx, caller, VAULT, IssueLicense(NOBODY, "TRIAL"), now=NOW)


async def test_suspending_and_reinstating_are_recorded_with_before_and_after(tx: Session, caller: Principal) -> None:
    license, _ = await make_license(tx)

    await licenses.suspend(tx, caller, license.id, now=LATER)
    assert await last_event(tx, license) == ("license.suspended", turned("ACTIVE", "SUSPENDED"))
    assert license.updated_at == LATER

    await licenses.reinstate(tx, caller, license.id, now=LATER)
    assert await last_event(tx, license) == ("license.reinstated", turned("SUSPENDED", "ACTIVE"))


async def test_revoking_is_recorded_and_there_is_no_way_back(tx: Session, caller: Principal) -> None:
    license, _ = await make_license(tx)
    await licenses.suspend(tx, caller, license.id, now=LATER)

    await licenses.revoke(tx, caller, license.id, now=LATER)

    assert await last_event(tx, license) == ("license.revoked", turned("SUSPENDED", "REVOKED"))
    for turn in (licenses.suspend, licenses.reinstate, licenses.revoke):
        with pytest.raises(LicenseStateConflict):
            await turn(tx, caller, license.id, now=LATER)
    with pytest.raises(LicenseStateConflict):
        await licenses.renew(tx, caller, license.id, END, now=LATER)


async def test_a_refused_change_leaves_no_trace(tx: Session, caller: Principal) -> None:
    license, _ = await make_license(tx)

    with pytest.raises(LicenseStateConflict):
        await licenses.reinstate(tx, caller, license.id, now=LATER)

    assert [event.event for event in await trail(tx, license.id)] == ["license.issued"]


async def test_renewing_is_recorded_and_ends_a_trial(tx: Session, caller: Principal) -> None:
    license, _ = await make_license(tx, tier="TRIAL", expires_at=LATER)

    await licenses.renew(tx, caller, license.id, END, now=NOW)
    assert await last_event(tx, license) == (
        "license.renewed",
        {
            "changed": ["expiresAt", "isTrial", "trialEndsAt"],
            "before": {"expiresAt": "2026-03-02T12:00:00Z", "isTrial": True, "trialEndsAt": "2026-03-31T12:00:00Z"},
            "after": {"expiresAt": "2027-01-01T00:00:00Z", "isTrial": False, "trialEndsAt": None},
        },
    )
    assert (license.expires_at, license.is_trial, license.trial_ends_at) == (END, False, None)

    await licenses.renew(tx, caller, license.id, None, now=NOW)
    _, data = await last_event(tx, license)
    assert data == {
        "changed": ["expiresAt"],
        "before": {"expiresAt": "2027-01-01T00:00:00Z"},
        "after": {"expiresAt": None},
    }


async def test_a_renewal_into_the_past_is_refused(tx: Session, caller: Principal) -> None:
    license, _ = await make_license(tx)

    with pytest.raises(InvalidPeriod):
        await licenses.renew(tx, caller, license.id, NOW - timedelta(days=1), now=NOW)


async def test_a_change_is_recorded_with_before_and_after(tx: Session, caller: Principal) -> None:
    await make_product(tx, "ninja")
    license, _ = await make_license(tx, tier="STARTER", expires_at=LATER)

    changes = {"max_users": None, "allowed_products": ["ninja"], "expires_at": END}
    await licenses.change(tx, caller, license.id, changes, now=LATER)

    assert await last_event(tx, license) == (
        "license.changed",
        {
            "changed": ["allowedProducts", "expiresAt", "maxUsers"],
            "before": {"allowedProducts": [], "expiresAt": "2026-03-02T12:00:00Z", "maxUsers": 25},
            "after": {"allowedProducts": ["ninja"], "expiresAt": "2027-01-01T00:00:00Z", "maxUsers": None},
        },
    )


async def test_a_change_obeys_the_rules_of_issuing(tx: Session, caller: Principal) -> None:
    license, _ = await make_license(tx, tier="TRIAL", starts_at=LATER)

    with pytest.raises(InvalidPeriod):
        await licenses.change(tx, caller, license.id, {"expires_at": NOW}, now=NOW)
    license.expires_at = None
    with pytest.raises(UnknownProducts):
        await licenses.change(tx, caller, license.id, {"allowed_products": ["unheard-of"]}, now=NOW)


async def test_showing_the_license_key_is_an_event_and_needs_the_right(tx: Session, caller: Principal) -> None:
    license, license_key = await make_license(tx)

    assert await licenses.show_license_key(tx, caller, VAULT, license, now=LATER) == license_key
    assert await last_event(tx, license) == ("license.key_shown", {})


async def test_a_strangers_license_is_not_found_and_not_listed(tx: Session) -> None:
    license, _ = await make_license(tx)
    own, _ = await make_license(tx)
    stranger = tenant(own.organization_id)

    with pytest.raises(LicenseNotFound):
        await licenses.get(tx, stranger, license.id)
    for turn in (licenses.suspend, licenses.reinstate, licenses.revoke):
        with pytest.raises(LicenseNotFound):
            await turn(tx, stranger, license.id, now=NOW)
    page = await licenses.list_page(tx, stranger, LicenseFilter(license.organization_id), PageRequest())
    assert list(page.items) == []


async def test_pages_show_every_license_once_newest_first(tx: Session, caller: Principal) -> None:
    organization = await make_organization(tx)
    made = [(await make_license(tx, organization=organization))[0].id for _ in range(5)]

    shown: list[UUID] = []
    request = PageRequest(limit=2)
    for _ in range(3):
        page = await licenses.list_page(tx, caller, LicenseFilter(organization.id), request)
        shown += [license.id for license in page.items]
        request = PageRequest(limit=2, cursor=page.next_cursor)

    assert shown == made[::-1]
    assert request.cursor is None
