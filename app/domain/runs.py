"""Runs: long work that is asked for, done by one process, watched, cancelled, and accounted for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from app.domain.errors import Conflict, NotFound


class RunNotFound(NotFound):
    """There is no run with this id."""

    code = "RUN_NOT_FOUND"


class RunUnderWay(Conflict):
    """A run that excludes this one is under way; wait for it, or cancel it."""

    code = "RUN_UNDER_WAY"

    def __init__(self, run_id: UUID, kind: str) -> None:
        sentence = f"The run {run_id} ({kind}) is under way; wait for it, or cancel it."
        super().__init__(sentence, members={"runId": str(run_id)})


class RunStateConflict(Conflict):
    """The run has ended; only one that is under way can be cancelled."""

    code = "RUN_STATE_CONFLICT"


class RunKind(StrEnum):
    """What a run does."""

    VACUUM = "vacuum"
    ANALYZE = "analyze"
    REINDEX = "reindex"
    PRUNE = "prune"
    BACKUP = "backup"
    VERIFY = "verify"
    RESTORE = "restore"
    ROLLBACK = "rollback"
    DRILL = "drill"


class MutexGroup(StrEnum):
    """Runs that exclude each other: of each group only one is under way."""

    TABLES = "tables"
    BACKUPS = "backups"


GROUP_BY_KIND: Mapping[RunKind, MutexGroup] = {
    RunKind.VACUUM: MutexGroup.TABLES,
    RunKind.ANALYZE: MutexGroup.TABLES,
    RunKind.REINDEX: MutexGroup.TABLES,
    RunKind.PRUNE: MutexGroup.TABLES,
    RunKind.BACKUP: MutexGroup.BACKUPS,
    RunKind.VERIFY: MutexGroup.BACKUPS,
    RunKind.RESTORE: MutexGroup.BACKUPS,
    RunKind.ROLLBACK: MutexGroup.BACKUPS,
    RunKind.DRILL: MutexGroup.BACKUPS,
}


class RunStatus(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    SUCCEEDED_WITH_WARNINGS = "succeeded_with_warnings"
    SKIPPED = "skipped"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"


UNDER_WAY = frozenset({RunStatus.QUEUED, RunStatus.RUNNING})


class RunTrigger(StrEnum):
    """What a run was started by."""

    REQUEST = "request"
    COMMAND = "command"
    SCHEDULE = "schedule"


@dataclass(frozen=True, slots=True)
class Slot:
    """A moment at which a schedule wants a run: there is at most one run of each."""

    schedule: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: percent of everything, in words, and at which of its objects (a table, an index)."""

    percent: float = 0.0
    phase: str = "starting"
    object_name: str | None = None
    object_percent: float | None = None
    objects_done: int = 0
    objects_total: int = 0


Tell = Callable[[Progress], None]
"""Where a run tells how far it is; cheap, so it may be told often."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run: a JSON document, and what an operator should look at; `failure` says why nothing was done."""

    result: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    failure: str | None = None

    @property
    def status(self) -> RunStatus:
        """How the run ended."""
        if self.failure is not None:
            return RunStatus.FAILED
        return RunStatus.SUCCEEDED_WITH_WARNINGS if self.warnings else RunStatus.SUCCEEDED


def part_of(tell: Tell, since: float, until: float) -> Tell:
    """Tells of a part of the work, whose percents are those between two of the whole."""

    def told(progress: Progress) -> None:
        percent = since + (until - since) * progress.percent / 100
        tell(Progress(percent, progress.phase, progress.object_name))

    return told


def lock_name_of(run_id: UUID) -> str:
    """The name of the lock that the owner of a run holds as long as it lives."""
    return f"run {run_id}"
