"""Rescan over HTTP: the catalog from what the stores hold."""

from __future__ import annotations

from fastapi import APIRouter

from app.ops.backups.rescan import rescan
from app.web.deps import Now, Runtime
from app.web.json_body import JsonRoute
from app.web.schemas.rescans import RescanOut
from app.web.security import Administration, CanBackUp

router = APIRouter(prefix="/admin/backups", tags=["backups"], route_class=JsonRoute, dependencies=[Administration])


@router.post("/rescan")
async def rescan_backups(caller: CanBackUp, runtime: Runtime, now: Now) -> RescanOut:
    """Bring the catalog up to date with what the stores hold: what is there, what is gone, what is not taken."""
    done = await rescan(runtime.database, runtime.settings, runtime.vault, caller, now=now)
    return RescanOut.model_validate(done)
