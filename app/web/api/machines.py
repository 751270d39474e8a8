"""Machines of a license over HTTP."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from app.db.models import Machine
from app.services import machines
from app.web.deps import Now, Transaction, WantedPage
from app.web.json_body import JsonRoute
from app.web.schemas.base import PageOut
from app.web.schemas.machines import ActivateMachine, MachineOut
from app.web.security import CanReadLicenses, CanWriteMachines

router = APIRouter(prefix="/api/licenses/{license_id}/machines", tags=["machines"], route_class=JsonRoute)

SHOWN_FINGERPRINT_BYTES = 8


@router.post("", response_model=MachineOut, responses={201: {"model": MachineOut}})
async def activate_machine(
    caller: CanWriteMachines, tx: Transaction, now: Now, license_id: UUID, wish: ActivateMachine
) -> Response:
    """Take a seat for a machine: 201 when it is new, 200 when it had one already."""
    machine, is_new = await machines.activate(tx, caller, license_id, wish.machine_id, now=now)
    location = f"/api/licenses/{license_id}/machines/{machine.id}"
    body = _out(machine).model_dump_json(by_alias=True)
    return Response(body, 201 if is_new else 200, {"Location": location}, "application/json")


@router.get("")
async def list_machines(
    caller: CanReadLicenses, tx: Transaction, page: WantedPage, license_id: UUID
) -> PageOut[MachineOut]:
    """List the machines that hold a seat, newest first."""
    found = await machines.list_page(tx, caller, license_id, page)
    return PageOut[MachineOut](items=[_out(machine) for machine in found.items], next_cursor=found.next_cursor)


@router.get("/{machine_id}")
async def show_machine(caller: CanReadLicenses, tx: Transaction, license_id: UUID, machine_id: UUID) -> MachineOut:
    """Show a machine that holds a seat."""
    return _out(await machines.get(tx, caller, license_id, machine_id))


@router.delete("/{machine_id}", status_code=204)
async def remove_machine(
    caller: CanWriteMachines, tx: Transaction, now: Now, license_id: UUID, machine_id: UUID
) -> None:
    """Free the seat of a machine."""
    await machines.remove(tx, caller, license_id, machine_id, now=now)


def _out(machine: Machine) -> MachineOut:
    return MachineOut(
        id=machine.id,
        license_id=machine.license_id,
        fingerprint=machine.fingerprint_hash[:SHOWN_FINGERPRINT_BYTES].hex(),
        activated_at=machine.activated_at,
    )
