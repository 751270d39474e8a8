"""Health: does the database answer, is the schema at head, is the server about to stop."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.coalescer import Outage
from app.db.lane import Lane
from app.db.queries import health


class Check(StrEnum):
    """What must be true before traffic is let in."""

    DRAINING = "draining"
    DATABASE = "database"
    SCHEMA = "schema"


@dataclass(frozen=True, slots=True)
class Readiness:
    """Which checks failed, each with a sentence for the operator; none failed means ready."""

    failed: dict[Check, str]

    @property
    def is_ready(self) -> bool:
        """Whether traffic may be let in."""
        return not self.failed


async def is_database_connected(lane: Lane) -> bool:
    """Whether the database answers a trivial question in time."""
    try:
        await lane.read(health.ping)
    except Outage:
        return False
    return True


async def check_readiness(lane: Lane, *, head_revision: str, is_draining: bool) -> Readiness:
    """Look at everything that must be true before traffic is let in."""
    if is_draining:
        return Readiness({Check.DRAINING: "The server is about to stop."})
    try:
        revision = await lane.read(health.schema_revision)
    except Outage:
        return Readiness({Check.DATABASE: "The database does not answer."})
    if revision != head_revision:
        sentence = f"The schema is at {revision or 'nothing'}, not at {head_revision}; run: license-server migrate"
        return Readiness({Check.SCHEMA: sentence})
    return Readiness({})
