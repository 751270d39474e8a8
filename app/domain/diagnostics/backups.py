"""Backups as the examination of the database sees them: how old, and proven when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.domain.backup_evidence import BackupEvidence, BackupFacts, judge_last_backup, judge_verification
from app.domain.diagnostics.answers import Answer, unavailable
from app.domain.findings import Finding
from app.domain.run_evidence import judge_runs


@dataclass(frozen=True, slots=True)
class BackupHealth(Answer[BackupFacts]):
    """The newest backups, and what they are evidence of; None when nobody can look."""

    evidence: BackupEvidence | None = None


def judge(answer: BackupHealth, now: datetime) -> list[Finding]:
    """Whether there is a backup of yesterday, one that was restored on trial, and a drill that is not long ago."""
    if answer.evidence is None:
        return unavailable("last_backup", answer)
    found = [*judge_last_backup(answer.evidence, now), *judge_verification(answer.evidence, now)]
    return [*found, judge_runs(answer.evidence.drills, now)]
