"""Licenses: issue, look up, change, suspend, reinstate, revoke, renew."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.db import events
from app.db.encrypted import decrypted
from app.db.models import License, Plan
from app.db.queries import licenses, organizations, plans, products
from app.db.session import Session
from app.domain import licenses as rules
from app.domain.errors import PlanNotFound, UnknownProducts
from app.domain.events import EventName, describe_changes, describe_creation
from app.domain.license_keys import canonical_license_key, hash_license_key, make_license_key
from app.domain.licenses import LicenseFilter, LicenseStatus
from app.domain.machines import MachineBinding
from app.domain.pages import Page, PageRequest, cut_page
from app.domain.permissions import Permission, Principal
from app.vault import Vault

TERMS = (
    *("tier", "max_users", "max_products", "max_machines", "allowed_products", "features", "machine_binding"),
    *("starts_at", "expires_at", "is_trial", "trial_ends_at"),
)
"""What a license is issued under, and what is recorded of it."""


@dataclass(frozen=True, slots=True)
class IssueLicense:
    """The wish for a new license: terms come from the plan (or the tier's default plan), and what is set overrides.

    `overrides` holds only the limits that were given, so that an explicit None means "no limit".
    """

    organization_id: UUID
    tier: str | None = None
    plan_id: UUID | None = None
    overrides: Mapping[str, int | None] | None = None
    allowed_products: tuple[str, ...] | None = None
    features: Mapping[str, Any] | None = None
    machine_binding: MachineBinding | None = None
    starts_at: datetime | None = None
    expires_at: datetime | None = None
    is_trial: bool | None = None
    license_key: str | None = None


async def issue(
    tx: Session, caller: Principal, vault: Vault, wish: IssueLicense, *, now: datetime
) -> tuple[License, str]:
    """A new license and its license key; raises NotFound, UnknownProducts, TooManyProducts, LicenseKeyTaken."""
    organization = await organizations.get_organization(tx, wish.organization_id)
    plan = await _plan(tx, wish)
    license_key = canonical_license_key(wish.license_key) if wish.license_key else make_license_key(secrets.choice)
    license = _from_plan(wish, plan, now)
    await _require_products(tx, license.allowed_products, license.max_products)
    rules.require_period(license.starts_at or now, license.expires_at)

    license.license_key_hash = hash_license_key(license_key)
    license.license_key_encrypted = vault.encrypt(license_key)
    tx.add(license)
    await tx.flush()

    await events.record(
        tx,
        caller,
        EventName.LICENSE_ISSUED,
        license.id,
        organization_id=organization.id,
        now=now,
        data={"plan": plan.name, **describe_creation({name: getattr(license, name) for name in TERMS})},
    )
    return license, license_key


async def get(tx: Session, caller: Principal, license_id: UUID) -> License:
    """The license; a stranger's is LicenseNotFound."""
    return await licenses.get_license(tx, caller.organization_id, license_id)


async def show_license_key(tx: Session, caller: Principal, vault: Vault, license: License, *, now: datetime) -> str:
    """The license key, for who may issue licenses; showing it is an event."""
    caller.require(Permission.LICENSES_WRITE)
    license_key = decrypted(vault, license.license_key_encrypted)

    await events.record(
        tx, caller, EventName.LICENSE_KEY_SHOWN, license.id, organization_id=license.organization_id, now=now
    )
    return license_key


async def require_readable_keys(tx: Session, vault: Vault) -> None:
    """Raise EncryptionKeyMissing when the vault does not open the license that was issued last."""
    newest = await licenses.find_newest_license(tx)
    if newest is not None:
        decrypted(vault, newest.license_key_encrypted)


async def list_page(tx: Session, caller: Principal, wanted: LicenseFilter, page: PageRequest) -> Page[License]:
    """Licenses, newest first; a tenant finds only its own."""
    before = page.position(UUID)
    found = await licenses.list_licenses(tx, caller.organization_id, wanted, before=before, limit=page.limit + 1)
    return cut_page(found, page.limit, lambda license: license.id)


async def change(
    tx: Session, caller: Principal, license_id: UUID, changes: Mapping[str, Any], *, now: datetime
) -> License:
    """Change limits, products, features, binding or dates, a trial with its start; the next validation sees it."""
    license = await licenses.lock_license(tx, caller.organization_id, license_id)
    before = {field: getattr(license, field) for field in TERMS}
    trial = rules.trial_length(license.starts_at or license.created_at, license.trial_ends_at)

    for field, value in changes.items():
        setattr(license, field, value)
    license.allowed_products = _distinct(license.allowed_products)
    if trial is not None:
        license.trial_ends_at = (license.starts_at or license.created_at) + trial
    changed = {field: getattr(license, field) for field in TERMS if getattr(license, field) != before[field]}
    if not changed:
        return license
    license.updated_at = now
    await _require_products(tx, license.allowed_products, license.max_products)
    rules.require_period(license.starts_at, license.expires_at)

    await _record(tx, caller, EventName.LICENSE_CHANGED, license, now, describe_changes(before, changed))
    return license


async def suspend(tx: Session, caller: Principal, license_id: UUID, *, now: datetime) -> License:
    """Refuse validations until the license is reinstated; only an active license can be suspended."""
    allowed = (LicenseStatus.ACTIVE,)
    return await _turn(tx, caller, license_id, allowed, LicenseStatus.SUSPENDED, EventName.LICENSE_SUSPENDED, now)


async def reinstate(tx: Session, caller: Principal, license_id: UUID, *, now: datetime) -> License:
    """Let a suspended license be used again."""
    allowed = (LicenseStatus.SUSPENDED,)
    return await _turn(tx, caller, license_id, allowed, LicenseStatus.ACTIVE, EventName.LICENSE_REINSTATED, now)


async def revoke(tx: Session, caller: Principal, license_id: UUID, *, now: datetime) -> License:
    """Take the license back for good; there is no way back."""
    allowed = (LicenseStatus.ACTIVE, LicenseStatus.SUSPENDED)
    return await _turn(tx, caller, license_id, allowed, LicenseStatus.REVOKED, EventName.LICENSE_REVOKED, now)


async def renew(
    tx: Session, caller: Principal, license_id: UUID, expires_at: datetime | None, *, now: datetime
) -> License:
    """Give the license a new end (None: no end); a trial stops being one and keeps its terms. Not for revoked ones."""
    license = await licenses.lock_license(tx, caller.organization_id, license_id)
    rules.require_status(LicenseStatus(license.status), (LicenseStatus.ACTIVE, LicenseStatus.SUSPENDED), "renewed")
    rules.require_period(max(now, license.starts_at or now), expires_at)
    renewed = {"expires_at": expires_at, "is_trial": False, "trial_ends_at": None}
    before = {field: getattr(license, field) for field in renewed}

    for field, value in renewed.items():
        setattr(license, field, value)
    license.updated_at = now

    changed = {field: value for field, value in renewed.items() if value != before[field]}
    await _record(tx, caller, EventName.LICENSE_RENEWED, license, now, describe_changes(before, changed))
    return license


async def _turn(
    tx: Session,
    caller: Principal,
    license_id: UUID,
    allowed: tuple[LicenseStatus, ...],
    status: LicenseStatus,
    event: EventName,
    now: datetime,
) -> License:
    license = await licenses.lock_license(tx, caller.organization_id, license_id)
    rules.require_status(LicenseStatus(license.status), allowed, event.rpartition(".")[2])
    before = license.status

    license.status = status
    license.updated_at = now

    await _record(tx, caller, event, license, now, describe_changes({"status": before}, {"status": status}))
    return license


async def _record(
    tx: Session, caller: Principal, event: EventName, license: License, now: datetime, data: dict[str, Any]
) -> None:
    await events.record(tx, caller, event, license.id, organization_id=license.organization_id, now=now, data=data)


async def _plan(tx: Session, wish: IssueLicense) -> Plan:
    if wish.plan_id is not None:
        return await plans.get_plan(tx, wish.plan_id)
    plan = await plans.find_tier_default(tx, wish.tier or "")
    if plan is None:
        raise PlanNotFound(f"There is no plan for the tier {wish.tier}; see GET /api/plans.")
    return plan


def _from_plan(wish: IssueLicense, plan: Plan, now: datetime) -> License:
    limits = {"max_users": plan.max_users, "max_products": plan.max_products, "max_machines": plan.max_machines}
    limits.update(wish.overrides or {})
    is_trial = plan.trial_days is not None if wish.is_trial is None else wish.is_trial
    trial = timedelta(days=plan.trial_days or 30)
    allowed_products: list[str] | None = None if limits["max_products"] is None else []
    if wish.allowed_products is not None:
        allowed_products = _distinct(wish.allowed_products)
    return License(
        organization_id=wish.organization_id,
        plan_id=plan.id,
        tier=plan.tier,
        status=LicenseStatus.ACTIVE,
        allowed_products=allowed_products,
        features={**plan.features, **(wish.features or {})},
        machine_binding=wish.machine_binding or plan.machine_binding,
        starts_at=wish.starts_at,
        expires_at=wish.expires_at,
        is_trial=is_trial,
        trial_ends_at=(wish.starts_at or now) + trial if is_trial else None,
        created_at=now,
        updated_at=now,
        **limits,
    )


def _distinct(products: Sequence[str] | None) -> list[str] | None:
    return None if products is None else list(dict.fromkeys(products))


async def _require_products(tx: Session, wanted: list[str] | None, limit: int | None) -> None:
    rules.require_product_count(wanted, limit)
    if wanted is None:
        return
    missing = set(wanted) - await products.list_product_ids(tx, wanted)
    if missing:
        raise UnknownProducts(f"There are no products with these ids: {', '.join(sorted(missing))}.")
