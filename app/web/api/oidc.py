"""Signing in at an identity provider (OpenID Connect): the browser goes there, and comes back with a code."""

from __future__ import annotations

import hmac
import json
import logging
import secrets
from datetime import datetime, timedelta
from typing import Annotated, NoReturn
from urllib.parse import urlsplit

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from app.domain.errors import (
    IdentityProviderNotConfigured,
    IdentityProviderUnavailable,
    IdentityRefused,
    NoAccountForIdentity,
)
from app.identity_provider import MAX_CODE_LENGTH, Attempt, IdentityProvider, ProofRefused, ProviderUnavailable
from app.runtime import Runtime as RuntimeState
from app.services import authentication
from app.services.authentication import Origin
from app.telemetry import security_log
from app.telemetry.logging import log
from app.vault import Vault, WrongKey
from app.web.api.authentication import tell_signed_in
from app.web.deps import Runtime
from app.web.schemas.authentication import SignedInOut
from app.web.security import SignInOrigin, Stranger

PREFIX = "/api/auth/oidc"
COOKIE = "license_server_sign_in"
ATTEMPT_LIFETIME = timedelta(minutes=10)
MAX_COOKIE_LENGTH = 4096
MAX_STATE_LENGTH = 200

router = APIRouter(prefix=PREFIX, tags=["authentication"])
logger = logging.getLogger(__name__)


@router.get("/login", status_code=302, response_class=RedirectResponse)
async def begin_sign_in(runtime: Runtime, stranger: Stranger) -> Response:
    """Send a browser to the identity provider; a cookie binds the way back to it."""
    provider = _provider(runtime)
    now = runtime.now()
    attempt = Attempt(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48))
    try:
        address = await provider.begin(attempt, now=now)
    except ProviderUnavailable as error:
        _tell_outage(error)
    response = RedirectResponse(address, 302)
    response.set_cookie(
        COOKIE,
        _sealed(runtime.vault, attempt, now),
        max_age=int(ATTEMPT_LIFETIME.total_seconds()),
        path=_cookie_path(runtime),
        secure=urlsplit(runtime.settings.public_url or "").scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return response


@router.get("/callback")
async def finish_sign_in(
    request: Request,
    response: Response,
    runtime: Runtime,
    stranger: Stranger,
    origin: SignInOrigin,
    state: Annotated[str, Query(max_length=MAX_STATE_LENGTH)] = "",
    code: Annotated[str, Query(max_length=MAX_CODE_LENGTH)] = "",
) -> SignedInOut:
    """Open a session for whom the identity provider sent back; the token is shown only here."""
    provider = _provider(runtime)
    now = runtime.now()
    attempt = _opened(runtime.vault, request.cookies.get(COOKIE, ""), now)
    if attempt is None or not hmac.compare_digest(attempt.state.encode(), state.encode()):
        _refuse(origin, "the browser that came back began no sign-in, or another one")
    try:
        identity = await provider.finish(attempt, code, now=now)
    except ProofRefused as error:
        _refuse(origin, str(error))
    except ProviderUnavailable as error:
        _tell_outage(error)
    try:
        async with runtime.database.transaction() as tx:
            signed_in = await authentication.sign_in_with_identity(tx, identity, origin, now=now)
    except NoAccountForIdentity:
        security_log.record_login_failure(ip=origin.ip, reason="nobody here is this identity")
        raise
    response.delete_cookie(COOKIE, path=_cookie_path(runtime))
    return tell_signed_in(signed_in, origin)


def _provider(runtime: RuntimeState) -> IdentityProvider:
    if runtime.identity_provider is None:
        raise IdentityProviderNotConfigured
    return runtime.identity_provider


def _refuse(origin: Origin, reason: str) -> NoReturn:
    security_log.record_login_failure(ip=origin.ip, reason=reason[:200])
    raise IdentityRefused


def _tell_outage(error: ProviderUnavailable) -> NoReturn:
    message = "The identity provider is not available"
    log(logger, logging.WARNING, message, event="identity_provider_outage", reason=str(error)[:200])
    raise IdentityProviderUnavailable from error


def _cookie_path(runtime: RuntimeState) -> str:
    """Where a browser sees our routes: behind the path of PUBLIC_URL."""
    return urlsplit(runtime.settings.public_url or "").path + PREFIX


def _sealed(vault: Vault, attempt: Attempt, now: datetime) -> str:
    ends_at = (now + ATTEMPT_LIFETIME).timestamp()
    values = {"for": COOKIE, "attempt": [attempt.state, attempt.nonce, attempt.verifier], "endsAt": ends_at}
    return vault.encrypt(json.dumps(values)).decode()


def _opened(vault: Vault, cookie: str, now: datetime) -> Attempt | None:
    """The attempt that this browser began within the last minutes; None when it began none."""
    if not cookie.isascii() or len(cookie) > MAX_COOKIE_LENGTH:
        return None
    try:
        values = json.loads(vault.decrypt(cookie.encode()))
    except (WrongKey, ValueError):
        return None
    is_ours = isinstance(values, dict) and values.get("for") == COOKIE
    if not is_ours or values["endsAt"] <= now.timestamp():
        return None
    return Attempt(*values["attempt"])
