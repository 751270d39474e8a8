"""Licenses over HTTP."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from app.domain.licenses import LicenseFilter, LicenseStatus
from app.services import licenses, validation
from app.telemetry import security_log
from app.telemetry.security_log import SecurityEvent
from app.web.deps import Now, Runtime, Transaction, WantedPage
from app.web.idempotency import Created, Done, Once
from app.web.json_body import JsonRoute
from app.web.schemas.base import PageOut, TierName
from app.web.schemas.licenses import (
    ChangeLicense,
    IssuedLicenseOut,
    IssueLicense,
    LicenseKeyOut,
    LicenseOut,
    RenewLicense,
)
from app.web.schemas.validation import ValidationEventOut
from app.web.security import CanReadLicenses, CanWriteLicenses, RecentlyProven

router = APIRouter(prefix="/api/licenses", tags=["licenses"], route_class=JsonRoute)

LIMITS = frozenset({"max_users", "max_products", "max_machines"})


@router.post("", status_code=201, response_model=IssuedLicenseOut)
async def issue_license(
    runtime: Runtime, caller: CanWriteLicenses, tx: Transaction, now: Now, once: Once, wish: IssueLicense
) -> Response:
    """Issue a license under a tier or a plan; the license key is in the answer."""

    async def issue() -> Created:
        given = wish.model_dump(exclude=set(LIMITS))
        products = given.pop("allowed_products")
        new = licenses.IssueLicense(
            **given,
            allowed_products=None if products is None else tuple(products),
            overrides=wish.model_dump(include=set(LIMITS), exclude_unset=True),
        )
        license, license_key = await licenses.issue(tx, caller, runtime.vault, new, now=now)
        issued = LicenseOut.model_validate(license).model_dump()
        return Created(IssuedLicenseOut(**issued, license_key=license_key), f"/api/licenses/{license.id}")

    return await once(issue)


@router.get("")
async def list_licenses(
    caller: CanReadLicenses,
    tx: Transaction,
    page: WantedPage,
    organization_id: Annotated[UUID | None, Query(alias="organizationId")] = None,
    status: Annotated[LicenseStatus | None, Query()] = None,
    tier: Annotated[TierName | None, Query()] = None,
) -> PageOut[LicenseOut]:
    """List licenses, newest first."""
    found = await licenses.list_page(tx, caller, LicenseFilter(organization_id, status, tier), page)
    items = [LicenseOut.model_validate(license) for license in found.items]
    return PageOut[LicenseOut](items=items, next_cursor=found.next_cursor)


@router.get("/{license_id}")
async def show_license(caller: CanReadLicenses, tx: Transaction, license_id: UUID) -> LicenseOut:
    """Show a license, without its license key."""
    return LicenseOut.model_validate(await licenses.get(tx, caller, license_id))


@router.patch("/{license_id}")
async def change_license(
    caller: CanWriteLicenses, tx: Transaction, now: Now, license_id: UUID, wish: ChangeLicense
) -> LicenseOut:
    """Change limits, products, features, machine binding or dates; the next validation sees it."""
    changes = wish.model_dump(exclude_unset=True)
    return LicenseOut.model_validate(await licenses.change(tx, caller, license_id, changes, now=now))


@router.post("/{license_id}/suspend", response_model=LicenseOut)
async def suspend_license(
    caller: CanWriteLicenses, tx: Transaction, now: Now, once: Once, license_id: UUID
) -> Response:
    """Refuse validations until the license is reinstated."""

    async def suspend() -> Done:
        return Done(LicenseOut.model_validate(await licenses.suspend(tx, caller, license_id, now=now)))

    return await once(suspend)


@router.post("/{license_id}/reinstate", response_model=LicenseOut)
async def reinstate_license(
    caller: CanWriteLicenses, tx: Transaction, now: Now, once: Once, license_id: UUID
) -> Response:
    """Let a suspended license be used again."""

    async def reinstate() -> Done:
        return Done(LicenseOut.model_validate(await licenses.reinstate(tx, caller, license_id, now=now)))

    return await once(reinstate)


@router.post("/{license_id}/revoke", response_model=LicenseOut)
async def revoke_license(
    caller: CanWriteLicenses, proven: RecentlyProven, tx: Transaction, now: Now, once: Once, license_id: UUID
) -> Response:
    """Take a license back for good; a person must have proven itself lately."""

    async def revoke() -> Done:
        return Done(LicenseOut.model_validate(await licenses.revoke(tx, caller, license_id, now=now)))

    return await once(revoke)


@router.post("/{license_id}/renew", response_model=LicenseOut)
async def renew_license(
    caller: CanWriteLicenses, tx: Transaction, now: Now, once: Once, license_id: UUID, wish: RenewLicense
) -> Response:
    """Give a license a new end; a trial becomes a full license."""

    async def renew() -> Done:
        return Done(LicenseOut.model_validate(await licenses.renew(tx, caller, license_id, wish.expires_at, now=now)))

    return await once(renew)


@router.post("/{license_id}/show-key")
async def show_license_key(
    runtime: Runtime, caller: CanWriteLicenses, proven: RecentlyProven, tx: Transaction, now: Now, license_id: UUID
) -> LicenseKeyOut:
    """Show the license key again; that it was shown is recorded, and a person must have proven itself lately."""
    license = await licenses.get(tx, caller, license_id)
    license_key = await licenses.show_license_key(tx, caller, runtime.vault, license, now=now)
    security_log.record(
        SecurityEvent.SENSITIVE_READ,
        "License key shown",
        ip=caller.ip,
        caller_kind=caller.kind,
        caller_id=caller.id,
        license_id=license_id,
    )
    return LicenseKeyOut(license_key=license_key)


@router.get("/{license_id}/validations")
async def list_validations(
    caller: CanReadLicenses, tx: Transaction, page: WantedPage, license_id: UUID
) -> PageOut[ValidationEventOut]:
    """List the answers that were given for a license, newest first."""
    found = await validation.list_page(tx, caller, license_id, page)
    items = [ValidationEventOut.model_validate(event) for event in found.items]
    return PageOut[ValidationEventOut](items=items, next_cursor=found.next_cursor)
