"""Queries over machines; the license was looked up for the caller before."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select

from app.db.models import Machine
from app.db.session import Session
from app.domain.errors import MachineNotFound


async def list_machines(tx: Session, license_id: UUID, *, before: UUID | None, limit: int) -> Sequence[Machine]:
    """The machines of a license, newest first."""
    query = select(Machine).where(Machine.license_id == license_id).order_by(Machine.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Machine.id < before)
    return (await tx.scalars(query)).all()


async def find_machine(tx: Session, license_id: UUID, fingerprint_hash: bytes) -> Machine | None:
    """The machine with this fingerprint, if it holds a seat of the license."""
    query = select(Machine).where(Machine.license_id == license_id, Machine.fingerprint_hash == fingerprint_hash)
    machine: Machine | None = await tx.scalar(query)
    return machine


async def get_machine(tx: Session, license_id: UUID, machine_id: UUID) -> Machine:
    """The machine, or MachineNotFound."""
    query = select(Machine).where(Machine.license_id == license_id, Machine.id == machine_id)
    machine: Machine | None = await tx.scalar(query)
    if machine is None:
        raise MachineNotFound
    return machine


async def count_seats(tx: Session, license_id: UUID) -> int:
    """How many seats of the license are taken."""
    return await tx.scalar(select(func.count()).select_from(Machine).where(Machine.license_id == license_id)) or 0
