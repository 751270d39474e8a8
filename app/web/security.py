"""Who is calling: permissions are argument types, and the caller is known before a transaction is opened."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request

from app.db.session import Session
from app.domain.errors import Denied, SessionRequired, StepUpRequired, Unauthenticated
from app.domain.permissions import Permission, Principal, PrincipalKind
from app.runtime import Runtime as RuntimeState
from app.services import authentication
from app.services.authentication import Origin, Refusal, RefusalReason
from app.telemetry import security_log
from app.telemetry.logging import request_id_var
from app.telemetry.security_log import SecurityEvent
from app.web import rate_limits
from app.web.client_address import client_ip
from app.web.deps import Now, Runtime
from app.web.middleware.request_context import add_log_fields

MAX_CREDENTIAL_LENGTH = 200
MAX_USER_AGENT_LENGTH = 200
STEP_UP_LIFETIME = timedelta(minutes=10)


def origin(request: Request) -> Origin:
    """Where the request comes from."""
    return Origin(client_ip(request.scope), request_id_var.get())


RequestOrigin = Annotated[Origin, Depends(origin)]


def _sign_in_origin(request: Request) -> Origin:
    given = request.headers.get("user-agent", "")[:MAX_USER_AGENT_LENGTH]
    user_agent = "".join(character for character in given if character.isprintable())
    return Origin(client_ip(request.scope), request_id_var.get(), user_agent or None)


SignInOrigin = Annotated[Origin, Depends(_sign_in_origin)]
"""Where a session comes from, with what its client calls itself: a person who looks at the list shall know it."""


async def _stranger(request: Request, runtime: Runtime, origin: RequestOrigin) -> Principal:
    await rate_limits.charge_unknown(request.scope, runtime.limiter)
    return Principal(PrincipalKind.ANONYMOUS, None, None, frozenset(), ip=origin.ip, request_id=origin.request_id)


Stranger = Annotated[Principal, Depends(_stranger)]
"""Whoever it is, for what needs no credential: the caller in the audit trail."""


async def _caller(request: Request, runtime: Runtime, origin: RequestOrigin) -> Principal:
    credential = credential_of(request)
    if credential is None:
        raise Unauthenticated
    principal, refusal = None, Refusal(RefusalReason.UNKNOWN)
    if len(credential) <= MAX_CREDENTIAL_LENGTH and credential.isascii():
        async with runtime.database.transaction() as tx:
            principal = await _identify(tx, runtime, credential, origin)
            if principal is None:
                refusal = await authentication.explain_refusal(tx, credential)
    if principal is None:
        _tell_refusal(refusal, origin)
        await rate_limits.charge_refused_credential(request.scope, runtime.limiter, credential)
        raise Unauthenticated("The credential is unknown, expired or revoked; sign in again or use another API key.")
    add_log_fields(request.scope, caller_kind=principal.kind, caller_id=principal.id)
    await rate_limits.charge_caller(request.scope, runtime.limiter, principal, credential)
    return principal


async def is_still_permitted(request: Request, runtime: RuntimeState, permission: Permission) -> bool:
    """Whether the credential of a request whose answer takes long is still good, and good for this."""
    credential = credential_of(request)
    assert credential is not None, "the caller was let in"
    async with runtime.database.transaction() as tx:
        principal = await _identify(tx, runtime, credential, origin(request))
    return principal is not None and permission in principal.permissions


async def _identify(tx: Session, runtime: RuntimeState, credential: str, origin: Origin) -> Principal | None:
    is_factor_required = runtime.settings.operator_second_factor_required
    return await authentication.identify(
        tx, credential, origin, must_have_second_factor=is_factor_required, now=runtime.now()
    )


def _tell_refusal(refusal: Refusal, origin: Origin) -> None:
    """Tell the log what the client is not told: a revoked credential in use may be a stolen one."""
    whose = {"caller_kind": refusal.kind, "caller_id": refusal.id}
    if refusal.kind is PrincipalKind.USER and refusal.reason is RefusalReason.EXPIRED:
        security_log.record(SecurityEvent.SESSION_EXPIRED, "Session has ended", ip=origin.ip, **whose)
    is_reuse = refusal.reason is RefusalReason.REVOKED
    event = SecurityEvent.AUTHN_TOKEN_REUSE if is_reuse else SecurityEvent.AUTHN_TOKEN_FAIL
    security_log.record(event, "Credential was refused", ip=origin.ip, reason=refusal.reason, **whose)


Caller = Annotated[Principal, Depends(_caller)]


class Require:
    """The dependency that lets only callers with the permission in."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(self, caller: Caller) -> Principal:
        """The caller; raises Denied."""
        caller.require(self.permission)
        return caller


class RequireOfInstallation(Require):
    """The dependency that lets only callers of the installation itself in, and of those who have the permission."""

    async def __call__(self, caller: Caller) -> Principal:
        """The caller; raises Denied."""
        if caller.organization_id is not None:
            raise Denied("This is for operators of the installation; an organization's own things are under /api.")
        return await super().__call__(caller)


def require_recent_proof(caller: Principal, now: datetime) -> None:
    """Whoever shows a session must have shown a password or second factor lately; a key's scope is its permission.

    Raises StepUpRequired and SecondFactorMissing.
    """
    caller.require_shown_factor()
    if caller.kind is PrincipalKind.USER and (caller.proven_at is None or now - caller.proven_at > STEP_UP_LIFETIME):
        raise StepUpRequired


async def _recently_proven(caller: Caller, now: Now) -> Principal:
    require_recent_proof(caller, now)
    return caller


RecentlyProven = Annotated[Principal, Depends(_recently_proven)]
"""For what cannot be undone or taken back: deletion, revocation, restore, showing a license key.

Also for new credentials and people: whoever stole a session could make a key or an operator, and be asked no more.
"""


async def _tell_administration(request: Request, caller: Caller) -> AsyncIterator[None]:
    """Record what was done to the installation, unless it was refused."""
    yield
    action = request.scope["route"].name
    security_log.record(
        SecurityEvent.AUTHZ_ADMIN,
        "Administration",
        ip=caller.ip,
        action=action,
        caller_kind=caller.kind,
        caller_id=caller.id,
    )


Administration = Depends(_tell_administration, scope="function")
"""For every router under /admin."""


@dataclass(frozen=True, slots=True)
class PersonInSession:
    """A caller who is a person, with the session that was shown."""

    caller: Principal
    user_id: UUID
    session_id: UUID


async def _person(caller: Caller) -> PersonInSession:
    if caller.id is None or caller.session_id is None:
        raise SessionRequired
    return PersonInSession(caller, caller.id, caller.session_id)


Person = Annotated[PersonInSession, Depends(_person)]
"""For what is about the session itself; also for those whose second factor is still missing."""


async def _person_with_factor(person: Person) -> PersonInSession:
    person.caller.require_shown_factor()
    return person


ProvenPerson = Annotated[PersonInSession, Depends(_person_with_factor)]
"""For a person's own account; whoever has a second factor has shown it."""


async def _recently_proven_person(person: Person, proven: RecentlyProven) -> PersonInSession:
    return person


RecentlyProvenPerson = Annotated[PersonInSession, Depends(_recently_proven_person)]
"""For what would give a person's account away."""

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
CanReadWholeAudit = Annotated[Principal, Depends(RequireOfInstallation(Permission.AUDIT_READ))]
CanReadOperations = Annotated[Principal, Depends(Require(Permission.OPS_READ))]
CanMaintain = Annotated[Principal, Depends(Require(Permission.OPS_MAINTAIN))]
CanBackUp = Annotated[Principal, Depends(Require(Permission.OPS_BACKUP))]
CanRestore = Annotated[Principal, Depends(Require(Permission.OPS_RESTORE))]


def credential_of(request: Request) -> str | None:
    """The API key or session token that a request shows."""
    api_key = request.headers.get("x-api-key")
    if api_key:
        return api_key.strip()
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None
