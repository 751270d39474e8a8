"""Capacity: what there is, how much is asked, and how many connections are left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from app.domain.findings import Finding, Level

CONNECTIONS_WARNING = 0.8


@dataclass(frozen=True, slots=True)
class Installed:
    """How much there is of everything, and the connections to the server of the database, of all its databases."""

    organizations: int
    licenses: int
    active_licenses: int
    machines: int
    users: int
    connections: int
    max_connections: int


@dataclass(frozen=True, slots=True)
class ValidationVolume:
    """The validations of a day in UTC."""

    day: date
    validations: int
    refused: int


def judge_connections(installed: Installed) -> Finding:
    """What is said of the connections."""
    used, most = installed.connections, installed.max_connections
    level = Level.WARNING if used >= CONNECTIONS_WARNING * most else Level.GOOD
    return Finding("connections", level, f"{used} of {most} connections of the database server are in use.")
