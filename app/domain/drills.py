"""Drills: what a rehearsed recovery found, how long each step took, and what would be missing in a real one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from app.domain.words import duration_in_words

QUESTIONS: tuple[str, ...] = (
    "Who leads a recovery, and how are the others called when mail and chat are down too?",
    "Where is the recovery key kept, and who gets at it at night?",
    "With what that is not on this machine can the backups be reached (credentials of the bucket, a disk, a host)?",
    "Where does a new machine come from, and who may order it?",
    "Who can lead clients to it (the DNS name, the load balancer, the certificate)?",
    "Who tells customers, and where?",
)
"""What only people can answer, in the order in which a recovery needs it."""

OLDEST_DATA = timedelta(hours=26)
"""A daily backup, and two hours for it to be made."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the recovery: how long it took, what came of it, and why it failed if it did."""

    name: str
    seconds: float
    detail: str
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """What would be missing in a real recovery, and what to do about it."""

    sentence: str
    action: str


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the machine's part of a drill was done with. `data_age` is that of the newest backup, None without one."""

    has_recovery_key: bool
    has_bundle: bool
    is_off_disk: bool
    data_age: timedelta | None


@dataclass(frozen=True, slots=True)
class DrillReport:
    """What came of a drill. `source` is the place of the backups that was used, `backup` the file that was restored."""

    run_id: UUID
    began_at: datetime
    led_by: str
    answers: tuple[str, ...]
    source: str
    backup: str | None
    data_age: timedelta | None
    steps: tuple[Step, ...]
    gaps: tuple[Gap, ...]

    @property
    def failure(self) -> str | None:
        """Why the recovery did not succeed."""
        return next((f"{step.name}: {step.failure}" for step in self.steps if step.failure is not None), None)

    @property
    def recovery_seconds(self) -> float:
        """From the first step to a license that was validated; what people need to get there comes on top."""
        return round(sum(step.seconds for step in self.steps), 3)

    @property
    def file_stem(self) -> str:
        """The name of its files, without their kind."""
        return f"drill-{self.began_at.astimezone(UTC):%Y%m%dT%H%M%SZ}"

    def as_document(self) -> dict[str, Any]:
        """As it is kept, with the names that answers use."""
        age = None if self.data_age is None else round(self.data_age.total_seconds())
        return {
            "run": str(self.run_id),
            "beganAt": self.began_at.astimezone(UTC).isoformat(),
            "ledBy": self.led_by,
            "succeeded": self.failure is None,
            "failure": self.failure,
            "recoverySeconds": self.recovery_seconds,
            "dataLossSeconds": age,
            "source": self.source,
            "backup": self.backup,
            "steps": [_without_none(_step_document(step)) for step in self.steps],
            "gaps": [{"sentence": gap.sentence, "action": gap.action} for gap in self.gaps],
            "answers": [{"question": question, "answer": answer} for question, answer in self._answered()],
        }

    def as_markdown(self) -> str:
        """The same for people, to be kept with the other papers."""
        age = "unknown" if self.data_age is None else duration_in_words(self.data_age.total_seconds())
        lines = [
            f"# Disaster recovery drill of {self.began_at:%Y-%m-%d %H:%M} UTC",
            "",
            f"- Result: {'**recovered**' if self.failure is None else f'**failed** ({self.failure})'}",
            f"- Measured recovery time: {duration_in_words(self.recovery_seconds)} (the machine's part)",
            f"- Data that would have been lost: {age}",
            f"- Led by: {self.led_by or 'nobody was named'}",
            f"- Backup: {self.backup or 'none'} from {self.source}",
            f"- Run: {self.run_id}",
            *("", "## Steps", "", "| step | took | what came of it |", "|---|---|---|"),
            *(f"| {one.name} | {one.seconds:.1f} s | {_cell(one.failure or one.detail)} |" for one in self.steps),
            *("", "## What would be missing", ""),
            *(f"- {gap.sentence} To do: `{gap.action}`" for gap in self.gaps),
            *([] if self.gaps else ["Nothing was found."]),
            *("", "## What people said", ""),
            *(f"- {question}\n  {answer or '(no answer)'}" for question, answer in self._answered()),
        ]
        return "\n".join(lines) + "\n"

    def _answered(self) -> Sequence[tuple[str, str]]:
        given = (*self.answers, *[""] * len(QUESTIONS))
        return list(zip(QUESTIONS, given, strict=False))


def judge_gaps(found: Circumstances, answers: Sequence[str]) -> tuple[Gap, ...]:
    """What would be missing in a real recovery."""
    gaps = []
    if not found.has_bundle:
        sentence = "No configuration bundle is beside the backups: settings and keys would be lost with this machine."
        gaps.append(Gap(sentence, "license-server configuration backup"))
    elif not found.has_recovery_key:
        sentence = "The recovery key was not at hand, so this machine's own settings and keys were used instead."
        gaps.append(Gap(sentence, "license-server drill --recovery-key-file FILE"))
    if not found.is_off_disk:
        sentence = "The backups are on the same disk as the server's data, and are lost with it."
        gaps.append(Gap(sentence, "set BACKUP_S3_URL, or BACKUP_DIR on another disk"))
    if found.data_age is not None and found.data_age > OLDEST_DATA:
        age = duration_in_words(found.data_age.total_seconds())
        gaps.append(Gap(f"The newest backup is {age} old: so much would be lost.", "license-server backup"))
    if not answers:
        sentence = "Nobody was asked what only people can answer, so it is not known whether they could."
        return (*gaps, Gap(sentence, "license-server drill  # without --yes"))
    unanswered = [
        question for place, question in enumerate(QUESTIONS) if not "".join(answers[place : place + 1]).strip()
    ]
    gaps += [Gap(f"Nobody answered: {question}", "license-server drill  # and answer it") for question in unanswered]
    return tuple(gaps)


def _step_document(step: Step) -> dict[str, Any]:
    return {"name": step.name, "seconds": step.seconds, "detail": step.detail, "failure": step.failure}


def _without_none(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if value is not None}


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
