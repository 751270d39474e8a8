"""Evidence of runs: when maintenance was done last, and whether that is too long ago."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from app.domain.findings import Finding, Level
from app.domain.runs import RunKind, RunStatus

LATEST: Mapping[RunKind, timedelta] = {
    RunKind.VACUUM: timedelta(days=9),
    RunKind.ANALYZE: timedelta(days=9),
    RunKind.REINDEX: timedelta(days=35),
    RunKind.PRUNE: timedelta(days=35),
    RunKind.BACKUP: timedelta(days=2),
    RunKind.VERIFY: timedelta(days=9),
    RunKind.DRILL: timedelta(days=100),
}
"""The rhythm of the schedules, and a few days for a run that failed and was done again."""

_COMMANDS: Mapping[RunKind, str] = {
    RunKind.BACKUP: "backup",
    RunKind.VERIFY: "backups verify",
    RunKind.RESTORE: "restore",
    RunKind.ROLLBACK: "restore rollback",
    RunKind.DRILL: "drill",
}
"""Those of backups; the others are `maintenance` and the kind."""


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that has ended; its status may be one of a newer release."""

    status: str
    trigger: str
    finished_at: datetime
    warning_count: int
    failure: str | None
    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunEvidence:
    """The last runs of a kind, newest first, when one succeeded last, and since when there could be any."""

    kind: RunKind
    runs: tuple[EndedRun, ...]
    succeeded_at: datetime | None
    installed_at: datetime | None


def command_of(kind: RunKind) -> str:
    """The command that does a run of this kind."""
    return f"license-server {_COMMANDS.get(kind, f'maintenance {kind}')}"


def judge_runs(evidence: RunEvidence, now: datetime) -> Finding:
    """What is said of the runs of a kind."""
    check, action = f"last_{evidence.kind}", command_of(evidence.kind)
    if evidence.succeeded_at is None:
        if not evidence.runs and not _is_overdue(evidence.kind, evidence.installed_at, now):
            return Finding(check, Level.GOOD, f"No {evidence.kind} has run yet, and none is due.")
        return Finding(check, Level.WARNING, f"No {evidence.kind} has succeeded yet.", action)
    days = LATEST[evidence.kind].days
    when = f"{evidence.succeeded_at:%Y-%m-%d %H:%MZ}"
    if _is_overdue(evidence.kind, evidence.succeeded_at, now):
        sentence = f"The last {evidence.kind} that succeeded is older than {days} days: {when}."
        return Finding(check, Level.WARNING, sentence, action)
    last = evidence.runs[0]
    if last.status in (RunStatus.FAILED, RunStatus.LOST):
        reason = f": {last.failure}" if last.failure else ""
        sentence = f"The last {evidence.kind} is {last.status}{reason}; one succeeded on {when}."
        return Finding(check, Level.WARNING, sentence, action)
    if last.status == RunStatus.SUCCEEDED_WITH_WARNINGS:
        return Finding(check, Level.WARNING, f"The last {evidence.kind}, of {when}, has {last.warning_count} warnings.")
    return Finding(check, Level.GOOD, f"The last {evidence.kind} succeeded on {when}.")


def _is_overdue(kind: RunKind, since: datetime | None, now: datetime) -> bool:
    return since is not None and now - since > LATEST[kind]
