"""Replication and the write-ahead log, where there are any."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.domain.diagnostics.answers import Answer, Status, unavailable
from app.domain.findings import Finding, Level
from app.domain.words import ByteCount, duration_in_words

LAG_WARNING_SECONDS = 60.0
LAG_BAD_SECONDS = 900.0
RETAINED_WARNING_BYTES = 1024**3
RETAINED_BAD_BYTES = 10 * 1024**3


class ReplicationKind(StrEnum):
    """What takes the log from us, or keeps it for somebody."""

    STANDBY = "standby"
    SLOT = "slot"


@dataclass(frozen=True, slots=True)
class Replica:
    """A standby with how far it is behind, or a slot with the log that is kept for it."""

    kind: str
    name: str
    client_address: str | None
    state: str | None
    is_active: bool
    behind_bytes: int | None
    lag_seconds: float | None


@dataclass(frozen=True, slots=True)
class Archiver:
    """What archiving the log did since the statistics began."""

    is_on: bool
    archived: int
    failed: int
    last_archived_at: datetime | None
    last_failed_at: datetime | None
    is_failing: bool


@dataclass(frozen=True, slots=True)
class Replication(Answer[Replica]):
    """Standbys and slots; no items mean that there is no replication."""

    is_standby: bool = False
    archiver: Archiver | None = None
    wal_bytes: int | None = None


def judge(answer: Replication) -> list[Finding]:
    """Whether a standby falls behind, a slot fills the disk, or archiving fails."""
    if answer.status is Status.UNAVAILABLE:
        return unavailable("replication", answer)
    findings = [_judge_standby(one) for one in answer.items if one.kind == ReplicationKind.STANDBY]
    findings += [_judge_slot(one) for one in answer.items if one.kind == ReplicationKind.SLOT]
    if answer.archiver is not None and answer.archiver.is_failing:
        sentence = "The write-ahead log can't be archived, so it grows; PostgreSQL's own log tells why."
        findings.append(Finding("replication", Level.BAD, sentence, "SELECT * FROM pg_stat_archiver;"))
    alone = Finding("replication", Level.GOOD, "There is no replication.")
    return findings or unavailable("replication", answer) or [alone]


def _judge_standby(one: Replica) -> Finding:
    seconds = one.lag_seconds or 0
    sentence = f"The standby {one.name} is {duration_in_words(seconds)} and {ByteCount(one.behind_bytes or 0)} behind."
    if seconds < LAG_WARNING_SECONDS:
        return Finding("replication", Level.GOOD, sentence)
    level = Level.BAD if seconds >= LAG_BAD_SECONDS else Level.WARNING
    return Finding("replication", level, sentence, "SELECT * FROM pg_stat_replication;")


def _judge_slot(one: Replica) -> Finding:
    kept = one.behind_bytes or 0
    sentence = f"{ByteCount(kept)} of write-ahead log are kept for the slot {one.name}."
    if (one.is_active and kept < RETAINED_BAD_BYTES) or kept < RETAINED_WARNING_BYTES:
        return Finding("replication", Level.GOOD, sentence)
    level = Level.BAD if kept >= RETAINED_BAD_BYTES else Level.WARNING
    name = one.name.replace("'", "''")
    action = (
        f"SELECT pg_drop_replication_slot('{name}');" if not one.is_active else "license-server database replication"
    )
    return Finding("replication", level, sentence, action)
