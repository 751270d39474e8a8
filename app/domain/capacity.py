"""Capacity: how much there is of everything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Installed:
    """How much there is of everything in the whole installation."""

    organizations: int
    licenses: int
    active_licenses: int
    machines: int
    users: int


@dataclass(frozen=True, slots=True)
class ValidationVolume:
    """The validations of a day in UTC."""

    day: date
    validations: int
    refused: int
