"""People over HTTP."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from app.domain.permissions import Principal, Role
from app.domain.users import UserFilter
from app.services import users
from app.telemetry import security_log
from app.telemetry.security_log import SecurityEvent
from app.web.deps import Now, Runtime, Transaction, WantedPage
from app.web.idempotency import Created, Once
from app.web.json_body import JsonRoute
from app.web.schemas.base import Email, PageOut
from app.web.schemas.users import AccountOut, ChangeUser, CreatedUserOut, CreateUser
from app.web.security import CanReadUsers, CanWriteUsers, RecentlyProven, require_recent_proof

router = APIRouter(prefix="/api/users", tags=["users"], route_class=JsonRoute)


@router.post("", status_code=201, response_model=CreatedUserOut)
async def create_user(
    runtime: Runtime,
    caller: CanWriteUsers,
    proven: RecentlyProven,
    tx: Transaction,
    now: Now,
    once: Once,
    wish: CreateUser,
) -> Response:
    """Make an account for somebody, who chooses its password with what is mailed; only for operators."""

    async def create() -> Created:
        new = users.CreateUser(**wish.model_dump())
        user, token = await users.create(tx, caller, new, runtime.postbox, now=now)
        _tell(SecurityEvent.USER_CREATED, "User was created", caller, user.id)
        shown = AccountOut.model_validate(user).model_dump()
        return Created(CreatedUserOut(**shown, is_mailed=token is None, token=token), f"/api/users/{user.id}")

    return await once(create)


@router.get("")
async def list_users(
    caller: CanReadUsers,
    tx: Transaction,
    page: WantedPage,
    organization_id: Annotated[UUID | None, Query(alias="organizationId")] = None,
    role: Annotated[Role | None, Query()] = None,
    email: Annotated[Email | None, Query(description="Only the user with this address.")] = None,
) -> PageOut[AccountOut]:
    """List people, newest first, disabled ones too."""
    found = await users.list_page(tx, caller, UserFilter(organization_id, role, email), page)
    items = [AccountOut.model_validate(user) for user in found.items]
    return PageOut[AccountOut](items=items, next_cursor=found.next_cursor)


@router.get("/{user_id}")
async def show_user(caller: CanReadUsers, tx: Transaction, user_id: UUID) -> AccountOut:
    """Show somebody's account."""
    return AccountOut.model_validate(await users.get(tx, caller, user_id))


@router.patch("/{user_id}")
async def change_user(caller: CanWriteUsers, tx: Transaction, now: Now, user_id: UUID, wish: ChangeUser) -> AccountOut:
    """Change the name, the role or the organization, disable or enable; all but a name ends the user's sessions.

    A person must have proven itself lately to change what somebody may do, and to let somebody in again.
    """
    changes = wish.model_dump(exclude_unset=True)
    if changes.keys() & {"role", "organization_id"} or changes.get("is_disabled") is False:
        require_recent_proof(caller, now)
    user = await users.change(tx, caller, user_id, changes, now=now)
    is_promotion = bool(changes.keys() & {"role", "organization_id"})
    event = SecurityEvent.PRIVILEGE_PERMISSIONS_CHANGED if is_promotion else SecurityEvent.USER_UPDATED
    _tell(event, "User was changed", caller, user.id)
    return AccountOut.model_validate(user)


@router.delete("/{user_id}", status_code=204)
async def delete_user(caller: CanWriteUsers, proven: RecentlyProven, tx: Transaction, now: Now, user_id: UUID) -> None:
    """Delete an account for good; a person must have proven itself lately."""
    await users.delete(tx, caller, user_id, now=now)
    _tell(SecurityEvent.USER_ARCHIVED, "User was removed", caller, user_id)


def _tell(event: SecurityEvent, message: str, caller: Principal, user_id: UUID) -> None:
    security_log.record(event, message, ip=caller.ip, user_id=user_id, caller_kind=caller.kind, caller_id=caller.id)
