"""Maintenance over HTTP: each wish is answered with a run."""

from __future__ import annotations

from fastapi import APIRouter, Response

from app.domain.maintenance import BackupOptions, Options, PruneOptions, ReindexOptions, TableOptions
from app.domain.permissions import Principal
from app.domain.runs import RunKind, RunTrigger
from app.services import runs
from app.services.runs import RequestRun
from app.web.deps import Now, Transaction
from app.web.idempotency import Accepted, Once
from app.web.json_body import JsonRoute
from app.web.schemas.backups import MakeBackup
from app.web.schemas.runs import MaintainTables, Prune, Reindex, RunOut
from app.web.security import Administration, CanBackUp, CanMaintain

router = APIRouter(
    prefix="/admin/maintenance", tags=["maintenance"], route_class=JsonRoute, dependencies=[Administration]
)

EVERYTHING = MaintainTables()
EVERY_INDEX = Reindex()
FOR_REAL = Prune()
PLAIN_BACKUP = MakeBackup()


@router.post("/vacuum", status_code=202, response_model=RunOut)
async def start_vacuum(
    caller: CanMaintain, tx: Transaction, now: Now, once: Once, wish: MaintainTables = EVERYTHING
) -> Response:
    """Vacuum and analyze the tables that need it."""
    return await _start(tx, caller, RunKind.VACUUM, TableOptions(**wish.model_dump()), now, once)


@router.post("/analyze", status_code=202, response_model=RunOut)
async def start_analyze(
    caller: CanMaintain, tx: Transaction, now: Now, once: Once, wish: MaintainTables = EVERYTHING
) -> Response:
    """Bring the planner's statistics up to date where they are stale."""
    return await _start(tx, caller, RunKind.ANALYZE, TableOptions(**wish.model_dump()), now, once)


@router.post("/reindex", status_code=202, response_model=RunOut)
async def start_reindex(
    caller: CanMaintain, tx: Transaction, now: Now, once: Once, wish: Reindex = EVERY_INDEX
) -> Response:
    """Rebuild bloated and invalid indexes while everybody works on."""
    return await _start(tx, caller, RunKind.REINDEX, ReindexOptions(**wish.model_dump()), now, once)


@router.post("/prune", status_code=202, response_model=RunOut)
async def start_prune(caller: CanMaintain, tx: Transaction, now: Now, once: Once, wish: Prune = FOR_REAL) -> Response:
    """Archive and remove what was kept long enough."""
    return await _start(tx, caller, RunKind.PRUNE, PruneOptions(**wish.model_dump()), now, once)


@router.post("/backup", status_code=202, response_model=RunOut)
async def start_backup(
    caller: CanBackUp, tx: Transaction, now: Now, once: Once, wish: MakeBackup = PLAIN_BACKUP
) -> Response:
    """Make a backup while everybody works on."""
    return await _start(tx, caller, RunKind.BACKUP, BackupOptions(**wish.model_dump()), now, once)


async def _start(tx: Transaction, caller: Principal, kind: RunKind, options: Options, now: Now, once: Once) -> Response:
    async def start() -> Accepted:
        run = await runs.request(tx, caller, RequestRun(kind, options, RunTrigger.REQUEST), now=now)
        return Accepted(RunOut.of(run), f"/admin/runs/{run.id}")

    return await once(start)
