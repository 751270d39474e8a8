"""Machines in JSON."""

from __future__ import annotations

from uuid import UUID

from app.domain.machines import MAX_FINGERPRINT_LENGTH
from app.web.schemas.base import LongText, Out, OutMoment, Wish

assert MAX_FINGERPRINT_LENGTH == 500, "LongText is as long as a fingerprint may be"


class ActivateMachine(Wish):
    """The machine that takes a seat."""

    machine_id: LongText


class MachineOut(Out):
    """A machine that holds a seat; its fingerprint is stored only as a SHA-256, of which this is the beginning."""

    id: UUID
    license_id: UUID
    fingerprint: str
    activated_at: OutMoment
