"""What every change leaves in the audit trail, and who may read it there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.db import events
from app.db.engine import Database
from app.db.models import User
from app.db.session import Session
from app.domain.audit_events import Actor, AuditFilter, ExportFormat
from app.domain.errors import AuditEventNotFound
from app.domain.events import EventName
from app.domain.pages import PageRequest
from app.domain.permissions import COMMAND_LINE, Permission, Principal, PrincipalKind, Role
from app.services import api_keys, audit_events, organizations, plans, products, users
from app.services.api_keys import CreateApiKey
from app.services.plans import CreatePlan
from tests.factories.store import NOW, make_organization, make_product
from tests.services.conftest import trail

LATER = NOW + timedelta(hours=1)
EVERYTHING = AuditFilter()
PAGE = PageRequest()
WAITING = text("SELECT count(*) FROM pg_locks WHERE NOT granted")


def tenant(organization_id: UUID, user_id: UUID | None = None) -> Principal:
    return Principal(PrincipalKind.USER, user_id, organization_id, frozenset({Permission.AUDIT_READ}))


async def last(tx: Session, subject_id: object) -> tuple[str, dict[str, Any]]:
    event = (await trail(tx, subject_id))[-1]
    return event.event, event.data


async def test_an_organization_is_recorded_with_before_and_after(tx: Session, caller: Principal) -> None:
    organization = await make_organization(tx, name="Acme", domain="Before.example", phone="1")
    assert await last(tx, organization.id) == (
        "organization.created",
        {"after": {"name": "Acme", "domain": "before.example", "email": "it@acme.example", "phone": "1"}},
    )

    wish = {"name": "Acme", "domain": "AFTER.example", "phone": None}
    await organizations.change(tx, caller, organization.id, wish, now=LATER)
    assert await last(tx, organization.id) == (
        "organization.changed",
        {
            "changed": ["domain", "phone"],
            "before": {"domain": "before.example", "phone": "1"},
            "after": {"domain": "after.example", "phone": None},
        },
    )


async def test_suspending_an_organization_is_an_event_of_its_own_with_all_that_changed(
    tx: Session, caller: Principal
) -> None:
    organization = await make_organization(tx, name="Acme")

    await organizations.change(tx, caller, organization.id, {"is_suspended": True, "name": "New"}, now=LATER)
    assert await last(tx, organization.id) == (
        "organization.suspended",
        {
            "changed": ["isSuspended", "name"],
            "before": {"isSuspended": False, "name": "Acme"},
            "after": {"isSuspended": True, "name": "New"},
        },
    )
    await organizations.change(tx, caller, organization.id, {"is_suspended": False}, now=LATER)
    assert (await last(tx, organization.id))[0] == "organization.reinstated"
    assert organization.suspended_at is None


async def test_what_changes_nothing_leaves_no_event(tx: Session, caller: Principal) -> None:
    organization = await make_organization(tx, name="Acme")
    product = await make_product(tx, "ninja")

    await organizations.change(tx, caller, organization.id, {"name": "Acme", "is_suspended": False}, now=LATER)
    await products.rename(tx, caller, product.id, "Ninja", now=LATER)

    assert [event.event for event in await trail(tx, organization.id)] == ["organization.created"]
    assert [event.event for event in await trail(tx, product.id)] == ["product.created"]
    assert (organization.updated_at, product.updated_at) == (NOW, NOW)


async def test_products_plans_and_api_keys_are_recorded_with_before_and_after(tx: Session, caller: Principal) -> None:
    product = await make_product(tx, "ninja")
    await products.rename(tx, caller, product.id, "Shuriken", now=LATER)
    assert await last(tx, "ninja") == (
        "product.changed",
        {"changed": ["name"], "before": {"name": "Ninja"}, "after": {"name": "Shuriken"}},
    )

    plan = await plans.create(tx, caller, CreatePlan("Small", "SMALL", max_users=5), now=NOW)
    event, data = await last(tx, plan.id)
    assert (event, data["after"]["maxUsers"], data["after"]["machineBinding"]) == ("plan.created", 5, "AUTOMATIC")
    await plans.change(tx, caller, plan.id, {"max_users": None}, now=LATER)
    assert await last(tx, plan.id) == (
        "plan.changed",
        {"changed": ["maxUsers"], "before": {"maxUsers": 5}, "after": {"maxUsers": None}},
    )

    wish = CreateApiKey("ci", frozenset({Permission.LICENSES_READ}), expires_at=LATER)
    api_key, _ = await api_keys.create(tx, caller, wish, now=NOW)
    assert await last(tx, api_key.id) == (
        "api_key.created",
        {"after": {"name": "ci", "scopes": ["licenses:read"], "expiresAt": "2026-03-01T13:00:00Z"}},
    )


async def two_at_once(database: Database, first: Callable[[Session], Awaitable[object]], second: Any) -> None:
    """The second begins while the first has changed something and not committed yet."""
    async with database.transaction() as tx:
        await first(tx)
        other = asyncio.create_task(_in_transaction(database, second))
        await _until_somebody_waits(tx)
    await other


async def _in_transaction(database: Database, work: Callable[[Session], Awaitable[object]]) -> None:
    async with database.transaction() as tx:
        await work(tx)


async def _until_somebody_waits(tx: Session) -> None:
    for _ in range(2_000):
        if await tx.scalar(WAITING):
            return
    pytest.fail("the second did not wait for the first")


async def test_of_two_changes_at_once_the_second_is_recorded_with_what_the_first_left(
    database: Database, caller: Principal
) -> None:
    async with database.transaction() as tx:
        await make_product(tx, "ninja")
        plan = await plans.create(tx, caller, CreatePlan("Small", "SMALL", max_users=5), now=NOW)
        api_key, _ = await api_keys.create(tx, caller, CreateApiKey("ci", frozenset({Permission.OPS_READ})), now=NOW)

    await two_at_once(
        database,
        lambda tx: products.rename(tx, caller, "ninja", "First", now=NOW),
        lambda tx: products.rename(tx, caller, "ninja", "Second", now=NOW),
    )
    await two_at_once(
        database,
        lambda tx: plans.change(tx, caller, plan.id, {"max_users": 6}, now=NOW),
        lambda tx: plans.change(tx, caller, plan.id, {"max_users": 7}, now=NOW),
    )
    await two_at_once(
        database,
        lambda tx: api_keys.revoke(tx, caller, api_key.id, now=NOW),
        lambda tx: api_keys.revoke(tx, caller, api_key.id, now=NOW),
    )

    async with database.transaction() as tx:
        assert (await last(tx, "ninja"))[1]["before"] == {"name": "First"}
        assert (await last(tx, plan.id))[1]["before"] == {"maxUsers": 6}
        assert [event.event for event in await trail(tx, api_key.id)] == ["api_key.created", "api_key.revoked"]


async def make_user(tx: Session, email: str, organization_id: UUID | None) -> User:
    role = Role.OPERATOR if organization_id is None else Role.ADMIN
    user = User(email=email, name="x", role=role, organization_id=organization_id)
    tx.add(user)
    await tx.flush()
    return user


async def test_an_operator_sees_who_it_was_by_name(tx: Session, caller: Principal) -> None:
    user = await make_user(tx, "op@example.com", None)
    acting = Principal(PrincipalKind.USER, user.id, None, frozenset(Permission), ip="192.0.2.7", request_id="r-1")
    api_key, _ = await api_keys.create(tx, acting, CreateApiKey("ci", frozenset({Permission.OPS_READ})), now=NOW)
    by_key = Principal(PrincipalKind.API_KEY, api_key.id, None, frozenset(Permission))
    await products.create(tx, by_key, "ninja", "Ninja", now=NOW)
    await products.create(tx, COMMAND_LINE, "katana", "Katana", now=NOW)

    found = await audit_events.list_page(tx, caller, EVERYTHING, PageRequest(3))

    assert [(one.event, one.actor) for one in found.items] == [
        ("product.created", Actor("command_line", None, None)),
        ("product.created", Actor("api_key", api_key.id, "ci")),
        ("api_key.created", Actor("user", user.id, "op@example.com")),
    ]
    assert (str(found.items[2].ip), found.items[2].request_id) == ("192.0.2.7", "r-1")
    assert await audit_events.get(tx, caller, found.items[2].id) == found.items[2]


async def test_a_tenant_sees_its_own_events_and_of_operators_only_what_they_did(tx: Session) -> None:
    own, other = await make_organization(tx), await make_organization(tx)
    operator = await make_user(tx, "op@example.com", None)
    caller = Principal(PrincipalKind.USER, operator.id, None, frozenset(Permission), ip="192.0.2.7", request_id="r-1")
    admin = await make_user(tx, "admin@own.example", own.id)
    acting = Principal(PrincipalKind.USER, admin.id, own.id, frozenset(), ip="198.51.100.1", request_id="r-2")
    await organizations.change(tx, caller, own.id, {"name": "New"}, now=NOW)
    await events.record(tx, acting, EventName.USER_SIGNED_IN, admin.id, organization_id=own.id, now=NOW)

    found = await audit_events.list_page(tx, tenant(own.id, admin.id), EVERYTHING, PAGE)
    shown = [(one.event, one.actor.name, one.actor.id, one.ip and str(one.ip), one.request_id) for one in found.items]

    assert shown == [
        ("user.signed_in", "admin@own.example", admin.id, "198.51.100.1", "r-2"),
        ("organization.changed", "Operator", None, None, None),
        ("organization.created", None, None, None, None),
    ]
    [strange] = (await audit_events.list_page(tx, tenant(other.id), EVERYTHING, PAGE)).items
    assert strange.organization_id == other.id
    with pytest.raises(AuditEventNotFound):
        await audit_events.get(tx, tenant(own.id), strange.id)


async def test_no_act_of_a_tenant_is_laid_to_the_operators_by_deleting_who_did_it(tx: Session) -> None:
    own = await make_organization(tx)
    gone, admin = await make_user(tx, "gone@own.example", own.id), await make_user(tx, "admin@own.example", own.id)
    acting = Principal(PrincipalKind.USER, gone.id, own.id, frozenset(), ip="198.51.100.1", request_id="r-2")
    await events.record(tx, acting, EventName.USER_DISABLED, admin.id, organization_id=own.id, now=NOW)
    await users.delete(tx, COMMAND_LINE, gone.id, now=NOW)

    found = await audit_events.list_page(tx, tenant(own.id, admin.id), EVERYTHING, PAGE)

    [shown] = [one for one in found.items if one.event == EventName.USER_DISABLED]
    assert (shown.actor, shown.ip, shown.request_id) == (Actor("user", gone.id, None), None, None)


async def test_an_export_holds_what_was_recorded_before_it_and_is_itself_recorded(
    tx: Session, caller: Principal
) -> None:
    organization = await make_organization(tx)
    wanted = AuditFilter(organization_id=organization.id, since=NOW)

    end = await audit_events.begin_export(tx, caller, wanted, ExportFormat.CSV, now=LATER)
    await organizations.change(tx, caller, organization.id, {"name": "New"}, now=LATER)
    exported = await audit_events.list_exported(tx, caller, wanted, after=None, end=end)

    assert [one.event for one in exported] == ["organization.created"]
    recorded = await audit_events.get(tx, caller, end)
    assert (recorded.event, recorded.data) == (
        "audit.exported",
        {"format": "csv", "filter": {"organizationId": str(organization.id), "since": "2026-03-01T12:00:00+00:00"}},
    )
