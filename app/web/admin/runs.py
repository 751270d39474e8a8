"""Runs over HTTP: look, list, watch, cancel."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from app.domain.runs import RunKind, RunStatus
from app.services import runs
from app.web.deps import Now, Runtime, Transaction, WantedPage
from app.web.json_body import JsonRoute
from app.web.run_events import EventStream, Place, stream
from app.web.schemas.base import PageOut
from app.web.schemas.runs import ListedRunOut, RunOut
from app.web.security import Administration, CanMaintain, CanReadOperations

router = APIRouter(prefix="/admin/runs", tags=["maintenance"], route_class=JsonRoute, dependencies=[Administration])


@router.get("")
async def list_runs(
    caller: CanReadOperations,
    tx: Transaction,
    page: WantedPage,
    kind: Annotated[RunKind | None, Query(description="Only of this kind.")] = None,
    status: Annotated[RunStatus | None, Query(description="Only in this status.")] = None,
) -> PageOut[ListedRunOut]:
    """List runs, newest first, without their results."""
    found = await runs.list_page(tx, kind, status, page)
    return PageOut[ListedRunOut](items=[ListedRunOut.of(run) for run in found.items], next_cursor=found.next_cursor)


@router.get("/{run_id}")
async def show_run(caller: CanReadOperations, tx: Transaction, run_id: UUID) -> RunOut:
    """Show a run: how far it is, or what came of it."""
    return RunOut.of(await runs.get(tx, run_id))


@router.get("/{run_id}/events", response_class=EventStream)
async def watch_run(
    caller: CanReadOperations, place: Place, tx: Transaction, request: Request, runtime: Runtime, run_id: UUID
) -> EventStream:
    """Watch a run: server-sent events `progress`, now and with each change, and `finished` at its end."""
    await runs.get(tx, run_id)
    return stream(request, runtime, run_id)


@router.post("/{run_id}/cancel")
async def cancel_run(caller: CanMaintain, tx: Transaction, now: Now, run_id: UUID) -> RunOut:
    """Have a run cancelled; asking twice is harmless, and the answer may still say `running` for a moment."""
    return RunOut.of(await runs.cancel(tx, caller, run_id, now=now))
