"""Signing in and out, proving it again, and who one is."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Request

from app.db.models import User
from app.domain.errors import InvalidCredentials, StepUpFailed
from app.domain.permissions import Principal, Role
from app.runtime import Runtime as RuntimeState
from app.services import authentication, passwords, second_factors
from app.services.authentication import Origin, SignedIn
from app.telemetry import security_log
from app.telemetry.security_log import SecurityEvent
from app.web.deps import Now, Runtime, Transaction
from app.web.json_body import JsonRoute
from app.web.rate_limits import login_attempt, own_attempt
from app.web.schemas.authentication import (
    MeOut,
    SecondFactorOut,
    SignedInOut,
    SignIn,
    SteppedUpOut,
    StepUp,
    UserOut,
)
from app.web.security import Caller, Person, SignInOrigin

router = APIRouter(prefix="/api/auth", tags=["authentication"], route_class=JsonRoute)


@router.post("/login")
async def sign_in(request: Request, runtime: Runtime, origin: SignInOrigin, wish: SignIn) -> SignedInOut:
    """Open a session; the token is shown only here."""
    async with runtime.database.transaction() as tx:
        user = await authentication.find_account(tx, wish.email)
        is_known_address = await authentication.is_known_address(tx, user, origin)
    user_id = user.id if user else None
    async with login_attempt(request, runtime, wish.email, is_known_address=is_known_address, user_id=user_id):
        try:
            signed_in = await _sign_in(runtime, user, origin, wish)
        except InvalidCredentials:
            security_log.record_login_failure(ip=origin.ip, user_id=user_id)
            raise
    return tell_signed_in(signed_in, origin)


@router.post("/logout", status_code=204)
async def sign_out(caller: Caller, tx: Transaction, now: Now) -> None:
    """End the session at once; with an API key there is none, and nothing happens."""
    await authentication.sign_out(tx, caller, now=now)


@router.post("/step-up")
async def step_up(request: Request, runtime: Runtime, person: Person, wish: StepUp) -> SteppedUpOut:
    """Prove that it is still you, with the password or a code; that counts for ten minutes."""
    try:
        async with own_attempt(request, runtime, person.caller) as account:
            proven_at = await _step_up(runtime, person.caller, account, wish)
    except InvalidCredentials as error:
        security_log.record_login_failure(ip=person.caller.ip, user_id=person.user_id)
        raise StepUpFailed from error
    return SteppedUpOut(proven_at=proven_at)


@router.get("/me")
async def show_caller(caller: Caller, tx: Transaction) -> MeOut:
    """Show who is calling and what that caller may do."""
    user = second_factor = None
    if caller.session_id is not None:
        account = await authentication.get_account(tx, caller)
        state = await second_factors.describe(tx, account)
        user = UserOut.model_validate(account)
        second_factor = SecondFactorOut(
            is_set_up=state.confirmed_at is not None,
            confirmed_at=state.confirmed_at,
            recovery_codes_left=state.recovery_codes_left,
            is_missing=caller.missing_factor is not None,
        )
    assert caller.id is not None, "who calls over HTTP has shown a session or an API key"
    return MeOut(
        kind=caller.kind,
        id=caller.id,
        organization=caller.organization_id,
        permissions=sorted(caller.permissions),
        user=user,
        second_factor=second_factor,
        proven_at=caller.proven_at,
    )


def tell_signed_in(signed_in: SignedIn, origin: Origin) -> SignedInOut:
    """Tell the security log of a new session, and the answer that shows its token."""
    user = signed_in.user
    security_log.record(SecurityEvent.AUTHN_LOGIN_SUCCESS, "Signed in", ip=origin.ip, user_id=user.id)
    security_log.record(SecurityEvent.SESSION_CREATED, "Session opened", ip=origin.ip, user_id=user.id)
    if signed_in.is_new_address and user.role == Role.OPERATOR:
        message = "An operator signed in from a new address"
        security_log.record(SecurityEvent.AUTHN_LOGIN_NEW_ADDRESS, message, ip=origin.ip, user_id=user.id)
    return SignedInOut(
        token=signed_in.token,
        expires_at=signed_in.expires_at,
        user=UserOut.model_validate(user),
        organization=user.organization_id,
    )


async def _sign_in(runtime: RuntimeState, user: User | None, origin: Origin, wish: SignIn) -> SignedIn:
    known = await authentication.check_password(runtime.passwords, user, wish.password)
    renewed = await passwords.hash_again(runtime.passwords, known, wish.password)
    async with runtime.database.transaction() as tx:
        signed_in = await authentication.sign_in(tx, known, origin, runtime.vault, code=wish.code, now=runtime.now())
        if renewed is not None:
            await passwords.renew_hash(tx, known, renewed)
    return signed_in


async def _step_up(runtime: RuntimeState, caller: Principal, account: User, wish: StepUp) -> datetime:
    if wish.password is None:
        assert wish.code is not None, "the schema asks for one of them"
        async with runtime.database.transaction() as tx:
            return await authentication.step_up_with_code(tx, caller, runtime.vault, wish.code, now=runtime.now())
    await authentication.check_password(runtime.passwords, account, wish.password)
    async with runtime.database.transaction() as tx:
        return await authentication.step_up_with_password(tx, caller, account, now=runtime.now())
