"""Machines: activate, list and remove the seats of a license."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from app.db import events
from app.db.models import Machine
from app.db.queries import licenses, machines
from app.db.session import Session
from app.domain.errors import NoFreeSeat
from app.domain.events import EventName
from app.domain.licenses import LicenseStatus, require_status
from app.domain.machines import has_free_seat, hash_fingerprint
from app.domain.pages import Page, PageRequest, cut_page
from app.domain.permissions import Principal


async def activate(
    tx: Session, caller: Principal, license_id: UUID, machine_id: str, *, now: datetime
) -> tuple[Machine, bool]:
    """Take a seat for a machine, and whether it is new; asking twice is harmless. Raises NoFreeSeat."""
    license = await licenses.lock_license(tx, caller.organization_id, license_id)
    require_status(LicenseStatus(license.status), (LicenseStatus.ACTIVE, LicenseStatus.SUSPENDED), "given machines")
    fingerprint_hash = hash_fingerprint(machine_id)
    known = await machines.find_machine(tx, license.id, fingerprint_hash)
    if known is not None:
        return known, False
    if not has_free_seat(limit=license.max_machines, taken=await machines.count_seats(tx, license.id)):
        raise NoFreeSeat

    machine = Machine(license_id=license.id, fingerprint_hash=fingerprint_hash, activated_at=now)
    tx.add(machine)
    await tx.flush()

    await _record(tx, caller, EventName.MACHINE_ACTIVATED, machine, license.organization_id, now)
    return machine, True


async def get(tx: Session, caller: Principal, license_id: UUID, machine_id: UUID) -> Machine:
    """A machine that holds a seat of the license, or MachineNotFound."""
    license = await licenses.get_license(tx, caller.organization_id, license_id)
    return await machines.get_machine(tx, license.id, machine_id)


async def list_page(tx: Session, caller: Principal, license_id: UUID, page: PageRequest) -> Page[Machine]:
    """The machines that hold a seat of the license, newest first."""
    license = await licenses.get_license(tx, caller.organization_id, license_id)
    found = await machines.list_machines(tx, license.id, before=page.position(UUID), limit=page.limit + 1)
    return cut_page(found, page.limit, lambda machine: machine.id)


async def remove(tx: Session, caller: Principal, license_id: UUID, machine_id: UUID, *, now: datetime) -> None:
    """Free the seat of a machine; raises MachineNotFound."""
    license = await licenses.lock_license(tx, caller.organization_id, license_id)
    machine = await machines.get_machine(tx, license.id, machine_id)

    await tx.delete(machine)

    await _record(tx, caller, EventName.MACHINE_DEACTIVATED, machine, license.organization_id, now)


async def _record(
    tx: Session, caller: Principal, event: EventName, machine: Machine, organization_id: UUID, now: datetime
) -> None:
    data = {"machineId": str(machine.id)}
    await events.record(tx, caller, event, machine.license_id, organization_id=organization_id, now=now, data=data)
