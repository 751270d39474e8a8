"""Rate limits at the door: who is charged for what, what a refusal is, and what an answer tells about limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import lru_cache
from hashlib import sha256
from uuid import UUID

from fastapi import Request
from starlette.types import Scope

from app.db.models import User
from app.domain.addresses import neighbourhood
from app.domain.errors import InvalidCredentials, Overloaded, RateLimited, RateLimitStoreUnavailable
from app.domain.permissions import Principal, hash_secret
from app.limiter import Charge, LimitClosed, Limiter, Spent
from app.runtime import Runtime
from app.services import authentication
from app.services.authentication import Origin
from app.settings import RateLimitPolicy
from app.telemetry import security_log
from app.telemetry.security_log import SecurityEvent
from app.web.client_address import client_ip

VALIDATE = ("POST", "/api/licenses/validate")
LOGIN = ("POST", "/api/auth/login")
TURN_SECONDS = 10.0

_SPENT = "license_server.rate_limits"
_HELD = "license_server.rate_limit_held"

who_calls = lru_cache(maxsize=4096)(neighbourhood)


def headers(scope: Scope) -> Sequence[tuple[bytes, bytes]]:
    """RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-11) of what this request was charged to."""
    spent: Sequence[Spent] = scope.get(_SPENT, ())
    if not spent:
        return ()
    policies = ", ".join([one.budget.description for one in spent])
    left = ", ".join([f'"{one.budget.policy}";r={one.remaining};t={one.seconds_left()}' for one in spent])
    return ((b"ratelimit-policy", policies.encode()), (b"ratelimit", left.encode()))


async def charge(request: Request, policy: RateLimitPolicy) -> None:
    """Charge the request's address once more, to a policy of its own; raises RateLimited."""
    runtime: Runtime = request.app.state.runtime
    await _charge(request.scope, runtime.limiter, (policy, _address(request.scope), 1))


def refuse_used_up_validation(scope: Scope, limiter: Limiter) -> None:
    """Refuse before the body is read when the address has used its validations up; raises RateLimited."""
    spent = None if limiter.is_shadow else limiter.look(RateLimitPolicy.VALIDATE, _address(scope))
    if spent is not None and spent.is_used_up:
        _note(scope, limiter, [spent])
        _refuse(scope, limiter, spent)


def refuse_used_up_login(scope: Scope, limiter: Limiter) -> None:
    """Refuse before an account is looked up when the address has failed too often; raises RateLimited."""
    spent = None if limiter.is_shadow else limiter.look(RateLimitPolicy.LOGIN_ADDRESS, _address(scope))
    if spent is not None and spent.is_exceeded:
        _note(scope, limiter, [spent])
        _refuse(scope, limiter, spent)


async def charge_validation(scope: Scope, limiter: Limiter, license_key_hash: bytes) -> None:
    """Charge a validation to its address and its license key; raises RateLimited.

    Who has guessed too much is answered only for license keys that were found lately: those who share the guesser's
    address go on.
    """
    address = _address(scope)
    spent = await _spend(
        limiter,
        (RateLimitPolicy.VALIDATE, address, 1),
        (RateLimitPolicy.VALIDATE_KEY, license_key_hash, 1),
        (RateLimitPolicy.GUESS, address, 0),
    )
    guess = spent.pop() if spent and spent[-1].budget.policy is RateLimitPolicy.GUESS else None
    _note(scope, limiter, spent)
    _refuse_exceeded(scope, limiter, spent)
    if guess is not None and guess.is_used_up and license_key_hash not in limiter.found_license_keys:
        _note(scope, limiter, [guess])
        _refuse(scope, limiter, guess)


async def learn_from_verdict(scope: Scope, limiter: Limiter, license_key_hash: bytes, *, is_found: bool) -> None:
    """Remember a license key that exists; charge an unknown one to its address."""
    if is_found:
        limiter.found_license_keys.add(license_key_hash)
        return
    _note(scope, limiter, await _spend(limiter, (RateLimitPolicy.GUESS, _address(scope), 1)))


async def charge_stranger(scope: Scope, limiter: Limiter, credential: str | None) -> None:
    """Charge a request to its address, unless its credential was good lately; raises RateLimited.

    A credential that turns out to be good is charged itself, and the address gets this back.
    """
    if credential is not None and hash_secret(credential) in limiter.good_credentials:
        return
    await charge_unknown(scope, limiter)


async def charge_unknown(scope: Scope, limiter: Limiter) -> None:
    """Charge a request to its address where nobody will ask who calls, whatever credential it shows.

    Raises RateLimited.
    """
    if _HELD not in scope:
        scope[_HELD] = await _charge(scope, limiter, (RateLimitPolicy.ANONYMOUS, _address(scope), 1))


async def charge_caller(scope: Scope, limiter: Limiter, caller: Principal, credential: str) -> None:
    """Charge a request to the API key or the user, on /admin to a budget of its own; raises RateLimited."""
    limiter.good_credentials.add(hash_secret(credential))
    await _give_back(scope, limiter, scope.pop(_HELD, []))
    policy = RateLimitPolicy.ADMIN if scope["path"].startswith("/admin/") else RateLimitPolicy.API
    await _charge(scope, limiter, (policy, f"{caller.kind}:{caller.id}", 1))


async def charge_refused_credential(scope: Scope, limiter: Limiter, credential: str) -> None:
    """Charge a credential that is good no more to its address; others were charged before they were looked at."""
    secret_hash = hash_secret(credential)
    if secret_hash in limiter.good_credentials:
        limiter.good_credentials.discard(secret_hash)
        await _charge(scope, limiter, (RateLimitPolicy.ANONYMOUS, _address(scope), 1))


async def charge_unreadable(request: Request) -> None:
    """Charge a validation or a login that can't be read, which never gets to where others are charged.

    Raises RateLimited.
    """
    route = (request.scope["method"], request.scope["path"])
    if route == VALIDATE:
        await charge(request, RateLimitPolicy.VALIDATE)
    elif route == LOGIN:
        await charge(request, RateLimitPolicy.ANONYMOUS)


@asynccontextmanager
async def login_attempt(
    request: Request, runtime: Runtime, email: str, *, is_known_address: bool, user_id: UUID | None
) -> AsyncIterator[None]:
    """Charge a login before its password is looked at, and give it back unless it fails with InvalidCredentials.

    An account is charged together for all strangers, and apart for each address it was signed in from before: who
    guesses its password elsewhere can't lock the owner out. Raises RateLimited, Overloaded.
    """
    address = _address(request.scope)
    account = sha256(email.lower().encode()).hexdigest() + (f"@{address}" if is_known_address else "")
    async with _turns(runtime.limiter, address, account):
        charged = await _charge_login(request.scope, runtime.limiter, address, account, user_id)
        try:
            yield
        except InvalidCredentials:
            raise
        except BaseException:
            await _give_back(request.scope, runtime.limiter, charged)
            raise
        await _give_back(request.scope, runtime.limiter, charged)


@asynccontextmanager
async def own_attempt(request: Request, runtime: Runtime, caller: Principal) -> AsyncIterator[User]:
    """The account of a person who shows its password or code once more, which is charged as a login is.

    Raises SessionRequired, RateLimited, Overloaded.
    """
    async with runtime.database.transaction() as tx:
        account = await authentication.get_account(tx, caller)
        is_known_address = await authentication.is_known_address(tx, account, Origin(caller.ip))
    attempt = login_attempt(request, runtime, account.email, is_known_address=is_known_address, user_id=account.id)
    async with attempt:
        yield account


@asynccontextmanager
async def _turns(limiter: Limiter, address: str, account: str) -> AsyncIterator[None]:
    """As many at once as may fail: many who sign in at the same moment, rightly, wait instead of being refused."""
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await stack.enter_async_context(limiter.turn(RateLimitPolicy.LOGIN_ADDRESS, address))
                await stack.enter_async_context(limiter.turn(RateLimitPolicy.LOGIN, account))
        except TimeoutError as error:
            raise Overloaded("Too many sign-ins at once; try again in a moment.") from error
        yield


async def _charge_login(
    scope: Scope, limiter: Limiter, address: str, account: str, user_id: UUID | None
) -> Sequence[Spent]:
    spent = await _spend(limiter, (RateLimitPolicy.LOGIN_ADDRESS, address, 1), (RateLimitPolicy.LOGIN, account, 1))
    exceeded = [one for one in spent if one.is_exceeded]
    for one in exceeded:
        if one.budget.policy is RateLimitPolicy.LOGIN and one.used == one.budget.limit + 1 and not limiter.is_shadow:
            ip = client_ip(scope)
            security_log.record(SecurityEvent.AUTHN_LOGIN_LOCK, "Account is locked for a while", user_id=user_id, ip=ip)
    _note(scope, limiter, sorted(spent, key=lambda one: one.remaining)[:1])
    if exceeded and not limiter.is_shadow:
        await _give_back(scope, limiter, [one for one in spent if not one.is_exceeded])
    _refuse_exceeded(scope, limiter, exceeded)
    return spent


async def _charge(scope: Scope, limiter: Limiter, charged: Charge) -> list[Spent]:
    spent = await _spend(limiter, charged)
    _note(scope, limiter, spent)
    _refuse_exceeded(scope, limiter, spent)
    return spent


async def _spend(limiter: Limiter, *charges: Charge) -> list[Spent]:
    try:
        return await limiter.charge(*charges)
    except LimitClosed as error:
        if limiter.is_shadow:
            return []
        raise RateLimitStoreUnavailable from error


async def _give_back(scope: Scope, limiter: Limiter, charged: Sequence[Spent]) -> None:
    noted: list[Spent] = scope.get(_SPENT, [])
    for one in charged:
        if one in noted:
            noted.remove(one)
        await limiter.give_back(one)


def _note(scope: Scope, limiter: Limiter, spent: Sequence[Spent]) -> None:
    """Have the answer tell of it; limits that only watch promise nothing and are not told."""
    if spent and not limiter.is_shadow:
        scope.setdefault(_SPENT, []).extend(spent)


def _refuse_exceeded(scope: Scope, limiter: Limiter, spent: Sequence[Spent]) -> None:
    for one in spent:
        if one.is_exceeded:
            _refuse(scope, limiter, one)
            return


def _refuse(scope: Scope, limiter: Limiter, spent: Spent) -> None:
    ip = client_ip(scope)
    if limiter.is_shadow:
        security_log.record_rate_limit(spent.budget.policy, shadow=True, ip=ip)
        return
    security_log.record_rate_limit(spent.budget.policy, ip=ip)
    raise RateLimited(retry_after_seconds=spent.seconds_left())


def _address(scope: Scope) -> str:
    return who_calls(client_ip(scope))
