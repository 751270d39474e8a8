"""Commands about licenses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import typer

from app.cli.arguments import (
    parse_imported_key,
    parse_long_text,
    parse_moment,
    parse_product_id,
    parse_text,
    parse_tier,
)
from app.cli.context import AsJson, Cursor, run
from app.cli.output import show, show_list
from app.db.models import License
from app.db.session import Session
from app.domain.license_keys import hash_license_key
from app.domain.licenses import LicenseFilter, LicenseStatus, ValidationQuestion, Verdict
from app.domain.machines import hash_fingerprint
from app.domain.pages import MAX_LIMIT, Page, PageRequest
from app.domain.permissions import COMMAND_LINE
from app.domain.words import MAX_LIMIT_NUMBER
from app.runtime import Runtime
from app.services import licenses, validation

NOT_VALID = 3

app = typer.Typer(
    no_args_is_help=True, help="Licenses: issue, show, list, suspend, reinstate, renew, revoke, validate."
)

LicenseId = Annotated[UUID, typer.Argument(help="The license's id.")]
Moment = Annotated[datetime | None, typer.Option(parser=parse_moment, metavar="MOMENT", help="A day or time in UTC.")]
Limit = Annotated[int | None, typer.Option(min=0, max=MAX_LIMIT_NUMBER)]


@app.command("issue")
def issue(
    organization_id: Annotated[UUID, typer.Option(help="Who gets the license.")],
    tier: Annotated[
        str | None,
        typer.Option(parser=parse_tier, metavar="TIER", help="TRIAL, STARTER, PROFESSIONAL, ENTERPRISE, UNLIMITED."),
    ] = None,
    plan_id: Annotated[UUID | None, typer.Option(help="A plan instead of a tier.")] = None,
    product: Annotated[
        list[str] | None,
        typer.Option(parser=parse_product_id, metavar="ID", help="A product it is for; may be repeated."),
    ] = None,
    max_users: Limit = None,
    max_machines: Limit = None,
    expires_at: Moment = None,
    license_key: Annotated[
        str | None, typer.Option(parser=parse_imported_key, metavar="KEY", help="An existing license key to import.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Issue a license and print its license key."""
    if (tier is None) == (plan_id is None):
        raise typer.BadParameter("give exactly one of --tier and --plan-id")
    given = {"max_users": max_users, "max_machines": max_machines}
    wish = licenses.IssueLicense(
        organization_id,
        tier,
        plan_id,
        overrides={name: value for name, value in given.items() if value is not None},
        allowed_products=tuple(product) if product else None,
        expires_at=expires_at,
        license_key=license_key,
    )

    async def work(tx: Session, runtime: Runtime) -> tuple[License, str]:
        return await licenses.issue(tx, COMMAND_LINE, runtime.vault, wish, now=runtime.now())

    license, issued_key = run(work)
    show({**_card(license), "licenseKey": issued_key}, as_json=as_json)


@app.command("show")
def show_one(license_id: LicenseId, as_json: AsJson = False) -> None:
    """Show a license."""

    async def work(tx: Session, runtime: Runtime) -> License:
        return await licenses.get(tx, COMMAND_LINE, license_id)

    show(_card(run(work)), as_json=as_json)


@app.command("show-key")
def show_key(license_id: LicenseId, as_json: AsJson = False) -> None:
    """Show a license key again; that it was shown is recorded."""

    async def work(tx: Session, runtime: Runtime) -> str:
        license = await licenses.get(tx, COMMAND_LINE, license_id)
        return await licenses.show_license_key(tx, COMMAND_LINE, runtime.vault, license, now=runtime.now())

    show({"licenseKey": run(work)}, as_json=as_json)


@app.command("list")
def list_all(
    organization_id: Annotated[UUID | None, typer.Option()] = None,
    status: Annotated[LicenseStatus | None, typer.Option()] = None,
    tier: Annotated[str | None, typer.Option(parser=parse_tier, metavar="TIER")] = None,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List licenses, newest first, at most 200."""
    wanted = LicenseFilter(organization_id, status, tier)
    page = PageRequest(MAX_LIMIT, cursor)

    async def work(tx: Session, runtime: Runtime) -> Page[License]:
        return await licenses.list_page(tx, COMMAND_LINE, wanted, page)

    found = run(work)
    columns = ("id", "tier", "status", "expiresAt")
    show_list([_card(license) for license in found.items], found.next_cursor, columns, as_json=as_json)


@app.command("suspend")
def suspend(license_id: LicenseId, as_json: AsJson = False) -> None:
    """Refuse validations until the license is reinstated."""
    _turn(licenses.suspend, license_id, as_json)


@app.command("reinstate")
def reinstate(license_id: LicenseId, as_json: AsJson = False) -> None:
    """Let a suspended license be used again."""
    _turn(licenses.reinstate, license_id, as_json)


@app.command("revoke")
def revoke(license_id: LicenseId, as_json: AsJson = False) -> None:
    """Take a license back for good."""
    _turn(licenses.revoke, license_id, as_json)


@app.command("renew")
def renew(
    license_id: LicenseId,
    expires_at: Moment = None,
    without_end: Annotated[bool, typer.Option("--without-end", help="Instead of a new end: none.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give a license a new end, or none; a trial stops being one and keeps its terms."""
    if (expires_at is None) != without_end:
        raise typer.BadParameter("give exactly one of --expires-at and --without-end")

    async def work(tx: Session, runtime: Runtime) -> License:
        return await licenses.renew(tx, COMMAND_LINE, license_id, expires_at, now=runtime.now())

    show(_card(run(work)), as_json=as_json)


@app.command("validate")
def validate(
    license_key: Annotated[str, typer.Argument(parser=parse_text, metavar="KEY", help="The license key.")],
    product_id: Annotated[str | None, typer.Option(parser=parse_text, metavar="ID")] = None,
    machine_id: Annotated[
        str | None, typer.Option(parser=parse_long_text, metavar="TEXT", help="A new machine takes a free seat.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask as a client program would; exit code 0 when the license is valid, 3 when not."""
    fingerprint_hash = hash_fingerprint(machine_id) if machine_id else None
    question = ValidationQuestion(hash_license_key(license_key), product_id, fingerprint_hash)

    async def work(tx: Session, runtime: Runtime) -> Verdict:
        return await validation.take_seat(tx, question, now=runtime.now())

    verdict = run(work)
    show({"valid": verdict.is_valid, "code": verdict.code, "reason": verdict.reason}, as_json=as_json)
    if not verdict.is_valid:
        raise typer.Exit(NOT_VALID)


def _turn(service: Callable[..., Awaitable[License]], license_id: UUID, as_json: bool) -> None:
    async def work(tx: Session, runtime: Runtime) -> License:
        return await service(tx, COMMAND_LINE, license_id, now=runtime.now())

    show(_card(run(work)), as_json=as_json)


def _card(license: License) -> dict[str, Any]:
    return {
        "id": license.id,
        "organizationId": license.organization_id,
        "tier": license.tier,
        "status": license.status,
        "maxUsers": license.max_users,
        "maxMachines": license.max_machines,
        "allowedProducts": license.allowed_products,
        "expiresAt": license.expires_at,
        "isTrial": license.is_trial,
        "trialEndsAt": license.trial_ends_at,
    }
