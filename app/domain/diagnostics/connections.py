"""Connections: who is connected to the database, in which state, and how many more there may be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.domain.diagnostics.answers import Answer, unavailable
from app.domain.findings import Finding, Level

WARNING_SHARE = 0.8
BAD_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class SessionGroup:
    """Sessions of one application in one state; `unknown` is the state of what this role may not see."""

    application: str
    state: str
    sessions: int
    longest_seconds: float | None


@dataclass(frozen=True, slots=True)
class OneSession:
    """One session at the database; its last statement without any literal."""

    pid: int
    user_name: str | None
    application: str
    client_address: str | None
    state: str | None
    state_since: datetime | None
    seconds: float | None
    waits_for: str | None
    statement: str | None


@dataclass(frozen=True, slots=True)
class Pool:
    """The connections of this process: how many there may be, are in use, and wait to be used."""

    size: int
    in_use: int
    idle: int


@dataclass(frozen=True, slots=True)
class Capacity:
    """Connections of the whole server, all databases: used, at most, and kept back for superusers and others."""

    used: int
    maximum: int
    reserved: int


@dataclass(frozen=True, slots=True)
class Connections(Answer[SessionGroup]):
    """Sessions of our database by application and state, and those that are in their state for longest."""

    pool: Pool | None = None
    capacity: Capacity | None = None
    longest: tuple[OneSession, ...] = ()


def judge(answer: Connections) -> list[Finding]:
    """Whether the connections that the server allows are running out."""
    if answer.capacity is None:
        return unavailable("connections", answer)
    capacity = answer.capacity
    usable = max(1, capacity.maximum - capacity.reserved)
    share = capacity.used / usable
    sentence = f"{capacity.used} of {usable} connections are in use."
    if share < WARNING_SHARE:
        return [Finding("connections", Level.GOOD, sentence)]
    level = Level.BAD if share >= BAD_SHARE else Level.WARNING
    advice = f"{sentence[:-1]}; lower DATABASE_POOL_SIZE, or allow more, which takes a restart of PostgreSQL."
    return [
        Finding("connections", level, advice, f"ALTER SYSTEM SET max_connections = {2 * capacity.maximum};"),
    ]
