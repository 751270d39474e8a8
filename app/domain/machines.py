"""The rules of seats: how a license meets the machines it is used on."""

from __future__ import annotations

import hashlib
from enum import StrEnum


class MachineBinding(StrEnum):
    """How a machine gets its seat."""

    AUTOMATIC = "AUTOMATIC"
    """The first validation from a new machine takes a free seat."""

    EXPLICIT = "EXPLICIT"
    """Only machines that were activated beforehand are accepted, and a validation must name its machine."""

    NONE = "NONE"
    """Machines are not looked at."""


def hash_fingerprint(machine_id: str) -> bytes:
    """SHA-256 (32 bytes) of a machine's fingerprint; the fingerprint itself is never stored."""
    return hashlib.sha256(machine_id.encode()).digest()


def has_free_seat(*, limit: int | None, taken: int) -> bool:
    """Whether one more machine fits; a limit of None means no limit."""
    return limit is None or taken < limit
