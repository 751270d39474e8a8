"""Invitations over HTTP."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from app.services import invitations, passwords
from app.telemetry import security_log
from app.telemetry.security_log import SecurityEvent
from app.web.deps import Now, Runtime, Transaction, WantedPage
from app.web.idempotency import Created, Once
from app.web.json_body import JsonRoute
from app.web.schemas.authentication import UserOut
from app.web.schemas.base import PageOut
from app.web.schemas.invitations import AcceptInvitation, CreatedInvitationOut, CreateInvitation, InvitationOut
from app.web.security import CanReadUsers, CanWriteUsers, RecentlyProven, Stranger

router = APIRouter(tags=["invitations"], route_class=JsonRoute)


@router.post("/api/invitations", status_code=201, response_model=CreatedInvitationOut)
async def create_invitation(
    runtime: Runtime,
    caller: CanWriteUsers,
    proven: RecentlyProven,
    tx: Transaction,
    now: Now,
    once: Once,
    wish: CreateInvitation,
) -> Response:
    """Invite somebody by mail for 72 hours; an earlier invitation of the address to the same place ends."""

    async def create() -> Created:
        new = invitations.CreateInvitation(**wish.model_dump())
        invitation, token = await invitations.create(tx, caller, new, runtime.postbox, now=now)
        shown = InvitationOut.model_validate(invitation).model_dump()
        body = CreatedInvitationOut(**shown, is_mailed=token is None, token=token)
        return Created(body, f"/api/invitations/{invitation.id}")

    return await once(create)


@router.get("/api/invitations")
async def list_invitations(
    caller: CanReadUsers,
    tx: Transaction,
    page: WantedPage,
    organization_id: Annotated[UUID | None, Query(alias="organizationId")] = None,
) -> PageOut[InvitationOut]:
    """List invitations, newest first, those that have ended too."""
    found = await invitations.list_page(tx, caller, page, organization_id=organization_id)
    items = [InvitationOut.model_validate(invitation) for invitation in found.items]
    return PageOut[InvitationOut](items=items, next_cursor=found.next_cursor)


@router.get("/api/invitations/{invitation_id}")
async def show_invitation(caller: CanReadUsers, tx: Transaction, invitation_id: UUID) -> InvitationOut:
    """Show an invitation, without its token."""
    return InvitationOut.model_validate(await invitations.get(tx, caller, invitation_id))


@router.delete("/api/invitations/{invitation_id}", status_code=204)
async def revoke_invitation(caller: CanWriteUsers, tx: Transaction, now: Now, invitation_id: UUID) -> None:
    """End an invitation at once."""
    await invitations.revoke(tx, caller, invitation_id, now=now)


@router.post("/api/auth/accept-invitation", status_code=201)
async def accept_invitation(runtime: Runtime, caller: Stranger, response: Response, wish: AcceptInvitation) -> UserOut:
    """Become the user that an invitation was for; its token works once."""
    async with runtime.database.transaction() as tx:
        invitation = await invitations.find_living(tx, wish.token, now=runtime.now())
    password_hash = await passwords.hash_chosen(runtime.passwords, wish.password, invitation.email)
    async with runtime.database.transaction() as tx:
        user = await invitations.accept(tx, caller, wish.token, wish.name, password_hash, now=runtime.now())
    security_log.record(SecurityEvent.USER_CREATED, "Invitation was accepted", ip=caller.ip, user_id=user.id)
    response.headers["Location"] = f"/api/users/{user.id}"
    return UserOut.model_validate(user)
