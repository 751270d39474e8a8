"""Restores over HTTP: a backup takes the live database's place, and the one before can come back."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from app.db.scratch import database_of
from app.domain.maintenance import Options, RestoreOptions, RollbackOptions
from app.domain.permissions import Principal
from app.domain.restores import require_confirmation
from app.domain.runs import RunKind, RunTrigger
from app.ops.backups.putaway import discard
from app.runner import direct_url
from app.services import restores, runs
from app.services.runs import RequestRun
from app.web.deps import Now, Runtime, Transaction
from app.web.idempotency import Accepted, Once
from app.web.json_body import JsonRoute
from app.web.schemas.restores import PutAwayList, PutAwayOut, Restore, RollBack
from app.web.schemas.runs import RunOut
from app.web.security import Administration, CanReadOperations, CanRestore, RecentlyProven

router = APIRouter(prefix="/admin", tags=["backups"], route_class=JsonRoute, dependencies=[Administration])


@router.post("/backups/{backup_id}/restore", status_code=202, response_model=RunOut)
async def restore_backup(
    caller: CanRestore,
    proven: RecentlyProven,
    runtime: Runtime,
    tx: Transaction,
    now: Now,
    once: Once,
    backup_id: UUID,
    wish: Restore,
) -> Response:
    """Restore a backup beside the live database, examine it there, and let it take the live one's place."""
    require_confirmation(wish.confirm, database_of(direct_url(runtime)))
    await restores.require_restorable(tx, backup_id, is_forced=wish.force)
    return await _start(tx, caller, RunKind.RESTORE, RestoreOptions(str(backup_id), wish.force), now, once)


@router.post("/restores/rollback", status_code=202, response_model=RunOut)
async def roll_back(
    caller: CanRestore, proven: RecentlyProven, runtime: Runtime, tx: Transaction, now: Now, once: Once, wish: RollBack
) -> Response:
    """Let a database that a restore has put away take the live one's place again."""
    require_confirmation(wish.confirm, database_of(direct_url(runtime)))
    chosen = await restores.get_put_away(tx, wish.database)
    return await _start(tx, caller, RunKind.ROLLBACK, RollbackOptions(chosen.name), now, once)


@router.get("/restores")
async def list_put_away(caller: CanReadOperations, tx: Transaction) -> PutAwayList:
    """The databases that restores have put away, the last one first."""
    return PutAwayList(items=[PutAwayOut.of(one) for one in await restores.list_put_away(tx)])


@router.delete("/restores/{name}", status_code=204)
async def discard_database(caller: CanRestore, proven: RecentlyProven, runtime: Runtime, name: str) -> None:
    """Drop a database that a restore has put away, for good."""
    async with runtime.database.transaction() as tx:
        chosen = await restores.get_put_away(tx, name)
    await discard(direct_url(runtime), name)
    async with runtime.database.transaction() as tx:
        await restores.tell_discarded(tx, caller, chosen, now=runtime.now())


async def _start(tx: Transaction, caller: Principal, kind: RunKind, options: Options, now: Now, once: Once) -> Response:
    async def start() -> Accepted:
        run = await runs.request(tx, caller, RequestRun(kind, options, RunTrigger.REQUEST), now=now)
        return Accepted(RunOut.of(run), f"/admin/runs/{run.id}")

    return await once(start)
