"""Schedules over HTTP: look at them, set and delete them, and have one done now."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from app.domain.runs import RunTrigger
from app.domain.schedules import NAME
from app.services import runs, schedules
from app.services.runs import RequestRun
from app.web.deps import Now, Transaction
from app.web.idempotency import Accepted, Once
from app.web.json_body import JsonRoute
from app.web.schemas.base import PageOut
from app.web.schemas.runs import RunOut
from app.web.schemas.schedules import PutSchedules, ScheduleOut, ScheduleTerms
from app.web.security import Administration, CanMaintain, CanReadOperations

router = APIRouter(
    prefix="/admin/schedules", tags=["maintenance"], route_class=JsonRoute, dependencies=[Administration]
)

Name = Annotated[str, Path(pattern=NAME, description="The schedule's name.")]


@router.get("")
async def list_schedules(caller: CanReadOperations, tx: Transaction, now: Now) -> PageOut[ScheduleOut]:
    """List all schedules by name."""
    return await _list(tx, now)


@router.put("")
async def put_schedules(caller: CanMaintain, tx: Transaction, now: Now, wish: PutSchedules) -> PageOut[ScheduleOut]:
    """Create or change several schedules, all or none; the others stay. Answers with all there are."""
    await schedules.put_all(tx, caller, wish.wishes(), now=now)
    return await _list(tx, now)


@router.get("/{name}")
async def show_schedule(caller: CanReadOperations, tx: Transaction, now: Now, name: Name) -> ScheduleOut:
    """Show a schedule."""
    return ScheduleOut.of(await schedules.get(tx, name, now=now))


@router.put("/{name}", response_model=ScheduleOut, responses={201: {"model": ScheduleOut}})
async def put_schedule(caller: CanMaintain, tx: Transaction, now: Now, name: Name, wish: ScheduleTerms) -> Response:
    """Create a schedule (201) or change it (200)."""
    is_new = await schedules.put(tx, caller, wish.wish(name), now=now)
    body = ScheduleOut.of(await schedules.get(tx, name, now=now)).model_dump_json(by_alias=True)
    headers = {"Location": f"/admin/schedules/{name}"} if is_new else {}
    return Response(body, 201 if is_new else 200, headers, "application/json")


@router.delete("/{name}", status_code=204)
async def delete_schedule(caller: CanMaintain, tx: Transaction, now: Now, name: Name) -> None:
    """Delete a schedule; its runs stay."""
    await schedules.delete(tx, caller, name, now=now)


@router.post("/{name}/run", status_code=202, response_model=RunOut)
async def run_schedule(caller: CanMaintain, tx: Transaction, now: Now, once: Once, name: Name) -> Response:
    """Have done now what a schedule wants, enabled or not; its next slot comes all the same."""

    async def start() -> Accepted:
        kind, options = await schedules.find_work(tx, name)
        run = await runs.request(tx, caller, RequestRun(kind, options, RunTrigger.REQUEST, schedule=name), now=now)
        return Accepted(RunOut.of(run), f"/admin/runs/{run.id}")

    return await once(start)


async def _list(tx: Transaction, now: Now) -> PageOut[ScheduleOut]:
    found = await schedules.list_all(tx, now=now)
    return PageOut[ScheduleOut](items=[ScheduleOut.of(one) for one in found], next_cursor=None)
