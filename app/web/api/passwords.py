"""Passwords over HTTP: lost, chosen anew, changed."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request

from app.domain.errors import InvalidCredentials, WrongPassword
from app.services import authentication, passwords
from app.telemetry import security_log
from app.telemetry.security_log import SecurityEvent
from app.web.deps import Postbox, Runtime
from app.web.json_body import JsonRoute
from app.web.rate_limits import own_attempt
from app.web.schemas.passwords import AcceptedOut, ChangePassword, ForgotPassword, ResetPassword
from app.web.security import ProvenPerson, Stranger

router = APIRouter(prefix="/api/auth", tags=["authentication"], route_class=JsonRoute)

ANSWER_SECONDS = 0.25
"""Longer than the work takes, so that the time of the answer does not tell whether an account exists."""


@router.post("/forgot-password", status_code=202)
async def forgot_password(runtime: Runtime, postbox: Postbox, caller: Stranger, wish: ForgotPassword) -> AcceptedOut:
    """Mail a token for a new password to the account, if there is one; the answer is the same either way."""
    loop = asyncio.get_running_loop()
    answer_at = loop.time() + ANSWER_SECONDS
    async with runtime.database.transaction() as tx:
        await passwords.request_reset(tx, caller, postbox, wish.email, now=runtime.now())
    await asyncio.sleep(answer_at - loop.time())
    return AcceptedOut(message="If there is such an account, a mail with the next step is on its way.")


@router.post("/reset-password", status_code=204)
async def reset_password(runtime: Runtime, caller: Stranger, wish: ResetPassword) -> None:
    """Choose a new password with the token of a mail, which works once; all sessions of the account end."""
    async with runtime.database.transaction() as tx:
        user = await passwords.find_reset(tx, wish.token, now=runtime.now())
    password_hash = await passwords.hash_chosen(runtime.passwords, wish.password, user.email)
    async with runtime.database.transaction() as tx:
        await passwords.reset(tx, caller, wish.token, password_hash, now=runtime.now())
    security_log.record(SecurityEvent.AUTHN_PASSWORD_CHANGE, "Password was reset", ip=caller.ip, user_id=user.id)


@router.post("/change-password", status_code=204)
async def change_password(request: Request, runtime: Runtime, person: ProvenPerson, wish: ChangePassword) -> None:
    """Choose another password; all other sessions of the account end, and this one counts as proven anew."""
    caller = person.caller
    try:
        async with own_attempt(request, runtime, caller) as user:
            await authentication.check_password(runtime.passwords, user, wish.current_password)
    except InvalidCredentials as error:
        event = SecurityEvent.AUTHN_PASSWORD_CHANGE_FAIL
        security_log.record(event, "Present password was wrong", ip=caller.ip, user_id=person.user_id)
        raise WrongPassword from error
    password_hash = await passwords.hash_chosen(runtime.passwords, wish.new_password, user.email)
    async with runtime.database.transaction() as tx:
        await passwords.change(tx, caller, user, password_hash, now=runtime.now())
    security_log.record(SecurityEvent.AUTHN_PASSWORD_CHANGE, "Password was changed", ip=caller.ip, user_id=user.id)
