"""Verification of backups over HTTP: the wish is answered with a run."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from app.domain.maintenance import VerifyOptions
from app.domain.runs import RunKind, RunTrigger
from app.services import runs, verifications
from app.services.runs import RequestRun
from app.web.deps import Now, Transaction
from app.web.idempotency import Accepted, Once
from app.web.json_body import JsonRoute
from app.web.schemas.runs import RunOut
from app.web.security import Administration, CanBackUp

router = APIRouter(prefix="/admin/backups", tags=["backups"], route_class=JsonRoute, dependencies=[Administration])


@router.post("/{backup_id}/verify", status_code=202, response_model=RunOut)
async def start_verification(caller: CanBackUp, tx: Transaction, now: Now, once: Once, backup_id: UUID) -> Response:
    """Restore the backup on trial, and compare every table with its manifest."""

    async def start() -> Accepted:
        await verifications.require_possible(tx, backup_id)
        wish = RequestRun(RunKind.VERIFY, VerifyOptions(str(backup_id)), RunTrigger.REQUEST)
        run = await runs.request(tx, caller, wish, now=now)
        return Accepted(RunOut.of(run), f"/admin/runs/{run.id}")

    return await once(start)
