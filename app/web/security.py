"""Who is calling: permissions are argument types, and the caller is known before a transaction is opened."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request

from app.domain.errors import StepUpRequired, Unauthenticated
from app.domain.permissions import Permission, Principal, PrincipalKind
from app.services import authentication
from app.services.authentication import Origin
from app.telemetry import security_log
from app.telemetry.logging import request_id_var
from app.telemetry.security_log import SecurityEvent
from app.web import rate_limits
from app.web.client_address import client_ip
from app.web.deps import Now, Runtime
from app.web.middleware.request_context import add_log_fields

MAX_CREDENTIAL_LENGTH = 200
STEP_UP_LIFETIME = timedelta(minutes=10)


def origin(request: Request) -> Origin:
    """Where the request comes from."""
    return Origin(client_ip(request.scope), request_id_var.get())


RequestOrigin = Annotated[Origin, Depends(origin)]


async def _caller(request: Request, runtime: Runtime, origin: RequestOrigin) -> Principal:
    credential = credential_of(request)
    if credential is None:
        raise Unauthenticated
    principal = None
    if len(credential) <= MAX_CREDENTIAL_LENGTH and credential.isascii():
        async with runtime.database.transaction() as tx:
            principal = await authentication.identify(tx, credential, origin, now=runtime.now())
    if principal is None:
        security_log.record(SecurityEvent.AUTHN_TOKEN_FAIL, "Credential was refused", ip=origin.ip)
        await rate_limits.charge_refused_credential(request.scope, runtime.limiter, credential)
        raise Unauthenticated("The credential is unknown, expired or revoked; sign in again or use another API key.")
    add_log_fields(request.scope, caller_kind=principal.kind, caller_id=principal.id)
    await rate_limits.charge_caller(request.scope, runtime.limiter, principal, credential)
    return principal


Caller = Annotated[Principal, Depends(_caller)]


class Require:
    """The dependency that lets only callers with the permission in."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(self, caller: Caller) -> Principal:
        """The caller; raises Denied."""
        caller.require(self.permission)
        return caller


async def _recently_proven(caller: Caller, now: Now) -> Principal:
    """Whoever shows a session must have shown a password or second factor lately; a key's scope is its permission."""
    if caller.kind is PrincipalKind.USER and (caller.proven_at is None or now - caller.proven_at > STEP_UP_LIFETIME):
        raise StepUpRequired
    return caller


RecentlyProven = Annotated[Principal, Depends(_recently_proven)]
"""For what cannot be undone or taken back: deletion, restore, showing a license key."""

CanReadLicenses = Annotated[Principal, Depends(Require(Permission.LICENSES_READ))]
CanWriteLicenses = Annotated[Principal, Depends(Require(Permission.LICENSES_WRITE))]
CanWriteMachines = Annotated[Principal, Depends(Require(Permission.MACHINES_WRITE))]
CanReadOrganizations = Annotated[Principal, Depends(Require(Permission.ORGANIZATIONS_READ))]
CanWriteOrganizations = Annotated[Principal, Depends(Require(Permission.ORGANIZATIONS_WRITE))]
CanReadProducts = Annotated[Principal, Depends(Require(Permission.PRODUCTS_READ))]
CanWriteProducts = Annotated[Principal, Depends(Require(Permission.PRODUCTS_WRITE))]
CanReadPlans = Annotated[Principal, Depends(Require(Permission.PLANS_READ))]
CanWritePlans = Annotated[Principal, Depends(Require(Permission.PLANS_WRITE))]
CanReadApiKeys = Annotated[Principal, Depends(Require(Permission.API_KEYS_READ))]
CanWriteApiKeys = Annotated[Principal, Depends(Require(Permission.API_KEYS_WRITE))]
CanReadUsers = Annotated[Principal, Depends(Require(Permission.USERS_READ))]
CanWriteUsers = Annotated[Principal, Depends(Require(Permission.USERS_WRITE))]
CanReadAudit = Annotated[Principal, Depends(Require(Permission.AUDIT_READ))]
CanReadOperations = Annotated[Principal, Depends(Require(Permission.OPS_READ))]


def credential_of(request: Request) -> str | None:
    """The API key or session token that a request shows."""
    api_key = request.headers.get("x-api-key")
    if api_key:
        return api_key.strip()
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None
