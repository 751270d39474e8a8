"""Registration over HTTP, where REGISTRATION_ENABLED; elsewhere these addresses are not there."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response

from app.domain.errors import NotFound
from app.services import passwords, registrations
from app.settings import RateLimitPolicy
from app.telemetry import security_log
from app.telemetry.security_log import SecurityEvent
from app.web import rate_limits
from app.web.deps import Postbox, Runtime
from app.web.json_body import JsonRoute
from app.web.schemas.authentication import UserOut
from app.web.schemas.passwords import AcceptedOut
from app.web.schemas.registrations import ConfirmRegistration, Register
from app.web.security import Stranger


def _require_enabled(runtime: Runtime) -> None:
    if not runtime.settings.registration_enabled:
        raise NotFound


router = APIRouter(
    prefix="/api/auth", tags=["registration"], route_class=JsonRoute, dependencies=[Depends(_require_enabled)]
)


@router.post("/register", status_code=202)
async def register(
    request: Request, runtime: Runtime, postbox: Postbox, caller: Stranger, wish: Register
) -> AcceptedOut:
    """Ask for an organization of one's own; it is made when the token of the mail comes back."""
    await rate_limits.charge(request, RateLimitPolicy.REGISTRATION)
    new = registrations.Register(wish.organization.model_dump(), wish.user.email, wish.user.name)
    async with runtime.database.transaction() as tx:
        await registrations.register(tx, caller, new, postbox, now=runtime.now())
    return AcceptedOut(message="A mail with the next step is on its way.")


@router.post("/confirm-registration", status_code=201)
async def confirm_registration(
    runtime: Runtime, caller: Stranger, response: Response, wish: ConfirmRegistration
) -> UserOut:
    """Make the organization and its first admin; the token works once."""
    async with runtime.database.transaction() as tx:
        registration = await registrations.find_living(tx, wish.token, now=runtime.now())
    password_hash = await passwords.hash_chosen(runtime.passwords, wish.password, registration.email)
    async with runtime.database.transaction() as tx:
        user = await registrations.confirm(tx, caller, wish.token, password_hash, now=runtime.now())
    security_log.record(SecurityEvent.USER_CREATED, "Registration was confirmed", ip=caller.ip, user_id=user.id)
    response.headers["Location"] = f"/api/users/{user.id}"
    return UserOut.model_validate(user)
