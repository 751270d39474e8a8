"""Machines in JSON."""

from __future__ import annotations

from uuid import UUID

from app.web.schemas.base import Fingerprint, Out, OutMoment, Wish


class ActivateMachine(Wish):
    """The machine that takes a seat."""

    machine_id: Fingerprint


class MachineOut(Out):
    """A machine that holds a seat; its fingerprint is stored only as a SHA-256, of which this is the beginning."""

    id: UUID
    license_id: UUID
    fingerprint: str
    activated_at: OutMoment
