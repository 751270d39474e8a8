"""Second factors over HTTP."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from app.domain.errors import WrongSecondFactorCode
from app.services import second_factors
from app.telemetry import security_log
from app.telemetry.security_log import SecurityEvent
from app.web.deps import Now, Runtime, Transaction
from app.web.json_body import JsonRoute
from app.web.schemas.second_factors import ConfirmSecondFactor, NewSecretOut, RecoveryCodesOut
from app.web.security import CanWriteUsers, RecentlyProven, RecentlyProvenPerson

router = APIRouter(prefix="/api", tags=["second factor"], route_class=JsonRoute)


@router.post("/auth/second-factor", status_code=201)
async def begin_second_factor(
    runtime: Runtime, person: RecentlyProvenPerson, tx: Transaction, now: Now
) -> NewSecretOut:
    """Make a new secret; it counts, and replaces the one before, when a code of it is confirmed."""
    new = await second_factors.begin(tx, person.caller, runtime.vault, person.user_id, now=now)
    return NewSecretOut.model_validate(new)


@router.post("/auth/second-factor/confirm")
async def confirm_second_factor(
    runtime: Runtime, person: RecentlyProvenPerson, now: Now, wish: ConfirmSecondFactor
) -> RecoveryCodesOut:
    """Put the new secret in force; the recovery codes are shown only here, and all other sessions end."""
    try:
        async with runtime.database.transaction() as tx:
            codes = await second_factors.confirm(tx, person.caller, runtime.vault, person.user_id, wish.code, now=now)
    except WrongSecondFactorCode:
        security_log.record_login_failure(ip=person.caller.ip, user_id=person.user_id)
        raise
    _tell("Second factor was set up", person.caller.ip, person.user_id)
    return RecoveryCodesOut(recovery_codes=list(codes))


@router.post("/auth/second-factor/recovery-codes", status_code=201)
async def renew_recovery_codes(person: RecentlyProvenPerson, tx: Transaction, now: Now) -> RecoveryCodesOut:
    """Make new recovery codes, shown only here; the ones before are worthless from now on."""
    codes = await second_factors.renew_recovery_codes(tx, person.caller, person.user_id, now=now)
    return RecoveryCodesOut(recovery_codes=list(codes))


@router.delete("/auth/second-factor", status_code=204)
async def remove_own_second_factor(runtime: Runtime, person: RecentlyProvenPerson, now: Now) -> None:
    """Go on without a second factor; refused to operators who must have one."""
    is_needed = runtime.settings.operator_second_factor_required
    async with runtime.database.transaction() as tx:
        await second_factors.remove_own(tx, person.caller, person.user_id, operators_must_have_one=is_needed, now=now)
    _tell("Second factor was removed", person.caller.ip, person.user_id)


@router.delete("/users/{user_id}/second-factor", status_code=204)
async def remove_second_factor(
    runtime: Runtime, caller: CanWriteUsers, proven: RecentlyProven, now: Now, user_id: UUID
) -> None:
    """Take the second factor from a user who has lost it, and end all of the user's sessions."""
    async with runtime.database.transaction() as tx:
        await second_factors.remove(tx, caller, user_id, now=now)
    _tell("Second factor was removed by somebody else", caller.ip, user_id)


def _tell(message: str, ip: str | None, user_id: UUID) -> None:
    security_log.record(SecurityEvent.USER_UPDATED, message, ip=ip, user_id=user_id)
