"""Rate limits before anything is done for a request: those that need not know who calls."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.domain.errors import DomainError
from app.runtime import Runtime
from app.web import problems, rate_limits
from app.web.middleware.request_context import QUIET_PATHS
from app.web.security import credential_of

_NEVER_LIMITED = frozenset((method, path) for path in QUIET_PATHS for method in ("GET", "HEAD"))


class RateLimits:
    """Plain ASGI middleware: probes pass, validations and logins are charged where they are understood."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            try:
                await _charge(scope)
            except DomainError as refusal:
                await problems.from_domain(refusal)(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def _charge(scope: Scope) -> None:
    runtime: Runtime = scope["app"].state.runtime
    route = (scope["method"], scope["path"])
    if route == rate_limits.VALIDATE:
        rate_limits.refuse_used_up_validation(scope, runtime.limiter)
    elif route == rate_limits.LOGIN:
        rate_limits.refuse_used_up_login(scope, runtime.limiter)
    elif route not in _NEVER_LIMITED:
        await rate_limits.charge_stranger(scope, runtime.limiter, credential_of(Request(scope)))
