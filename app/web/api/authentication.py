"""Signing in and out."""

from __future__ import annotations

from fastapi import APIRouter, Request

from app.domain.errors import InvalidCredentials
from app.services import authentication
from app.telemetry import security_log
from app.telemetry.security_log import SecurityEvent
from app.web.deps import Now, Runtime, Transaction
from app.web.json_body import JsonRoute
from app.web.rate_limits import login_attempt
from app.web.schemas.authentication import SignedInOut, SignIn, UserOut
from app.web.security import Caller, RequestOrigin

router = APIRouter(prefix="/api/auth", tags=["authentication"], route_class=JsonRoute)


@router.post("/login")
async def sign_in(request: Request, runtime: Runtime, origin: RequestOrigin, wish: SignIn) -> SignedInOut:
    """Open a session; the token is shown only here."""
    async with runtime.database.transaction() as tx:
        user = await authentication.find_account(tx, wish.email)
        is_known_address = await authentication.is_known_address(tx, user, origin)
    user_id = user.id if user else None
    async with login_attempt(request, runtime, wish.email, is_known_address=is_known_address, user_id=user_id):
        try:
            known = await authentication.check_password(runtime.passwords, user, wish.password)
        except InvalidCredentials:
            security_log.record_login_failure(ip=origin.ip, user_id=user_id)
            raise
    async with runtime.database.transaction() as tx:
        signed_in = await authentication.sign_in(tx, known, origin, now=runtime.now())
    security_log.record(SecurityEvent.AUTHN_LOGIN_SUCCESS, "Signed in", ip=origin.ip, user_id=known.id)
    return SignedInOut(
        token=signed_in.token,
        expires_at=signed_in.expires_at,
        user=UserOut.model_validate(known),
        organization=known.organization_id,
    )


@router.post("/logout", status_code=204)
async def sign_out(caller: Caller, tx: Transaction, now: Now) -> None:
    """End the session at once; with an API key there is none, and nothing happens."""
    await authentication.sign_out(tx, caller, now=now)
