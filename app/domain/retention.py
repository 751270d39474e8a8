"""What is kept, for how long: the one list that pruning goes by and operators are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any

from app.domain.error_groups import ERRORS_KEPT
from app.domain.words import ByteCount

IDEMPOTENCY_LIFETIME = timedelta(days=1)
"""An answer is given again for so long."""


class Kind(StrEnum):
    """What grows."""

    VALIDATION_EVENTS = "validation_events"
    AUDIT_EVENTS = "audit_events"
    SESSIONS = "sessions"
    INVITATIONS = "invitations"
    PASSWORD_RESETS = "password_resets"  # noqa: S105 - a name, not a password
    REGISTRATIONS = "registrations"
    IDEMPOTENCY_KEYS = "idempotency_keys"
    OUTGOING_MAILS = "outgoing_mails"
    RUNS = "runs"
    SIZE_SAMPLES = "size_samples"
    STATEMENT_SAMPLES = "statement_samples"
    SECURITY_EVENT_COUNTS = "security_event_counts"
    ERROR_GROUPS = "error_groups"
    ARCHIVES = "archives"


class End(StrEnum):
    """What becomes of it then."""

    ARCHIVED = "archived"
    DELETED = "deleted"
    DELETED_BY_JOB = "deleted_by_job"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Rule:
    """How long something is kept, from when on; None is for ever. A legal hold keeps evidence whatever its age."""

    kind: Kind
    kept_for: timedelta | None
    counted_from: str
    end: End
    is_evidence: bool = False

    @property
    def kept(self) -> str:
        """The length in words: `90 days`, `1 day`, `for ever`."""
        if self.kept_for is None:
            return "for ever"
        return "1 day" if self.kept_for.days == 1 else f"{self.kept_for.days} days"

    def cutoff(self, now: datetime) -> datetime | None:
        """What is older than this goes; None when nothing does."""
        return None if self.kept_for is None else now - self.kept_for


@dataclass(frozen=True, slots=True)
class Stock:
    """How much there is of a kind now, and from when the oldest is; of very many the number is an estimate."""

    rows: int
    is_estimate: bool
    bytes: int
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True)
class Holding:
    """What legal holds keep: everything, or what belongs to some organizations."""

    is_whole: bool = False
    organization_ids: Sequence[str] = ()


@dataclass(slots=True)
class Pruned:
    """What went of a kind, or would go; `skipped` says in sentences what is old enough and stays.

    Those that nobody wished for are `warnings`, too. `bytes` is about what it took in the database. A kind is refused
    when the role may do nothing with it.
    """

    rule: Rule
    rows: int = 0
    partitions: int = 0
    bytes: int = 0
    archives: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    is_refused: bool = False

    def skip(self, sentence: str, *, is_wished: bool = False) -> None:
        """Remember what stays, and why."""
        self.skipped.append(sentence)
        if not is_wished:
            self.warnings.append(f"{self.rule.kind}: {sentence}")

    def as_document(self) -> dict[str, object]:
        """As it stands in the result of a run."""
        return {
            "name": self.rule.kind.value,
            "kept": self.rule.kept,
            "rows": self.rows,
            "partitions": self.partitions,
            "bytes": self.bytes,
            "archives": self.archives,
            "skipped": self.skipped,
        }


def remarkable_rows(result: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """Of the result of a run those kinds of which something went (would go, when dry), or is old and stays."""
    return tuple(
        {
            "name": kind["name"],
            "kept": kind["kept"],
            "rows": kind["rows"],
            "partitions": kind["partitions"],
            "size": ByteCount(kind["bytes"]),
            "archives": len(kind["archives"]),
            "skipped": _in_short(kind["skipped"]),
        }
        for kind in result.get("kinds", ())
        if kind["rows"] or kind["partitions"] or kind["skipped"]
    )


def _in_short(sentences: Sequence[str]) -> str | None:
    if len(sentences) > 1:
        return f"{sentences[0]}, and {len(sentences) - 1} more"
    return sentences[0] if sentences else None


class Kept(Exception):
    """Something stays for the reason in the message; raised before anything of it was removed."""


class Held(Kept):
    """A legal hold keeps it."""


class TableBusy(Kept):
    """Others used the table all the time, and they go first."""


class NotOwner(Kept):
    """The role that maintenance works as may not do this."""


def list_rules(validation_days: int, audit_days: int | None) -> tuple[Rule, ...]:
    """Everything that grows, with what is kept of it."""
    days = timedelta
    audit_length = None if audit_days is None else days(audit_days)
    return (
        Rule(Kind.VALIDATION_EVENTS, days(validation_days), "the end of their day", End.ARCHIVED, is_evidence=True),
        Rule(
            *(Kind.AUDIT_EVENTS, audit_length, "the change"),
            End.KEPT if audit_length is None else End.ARCHIVED,
            is_evidence=True,
        ),
        Rule(Kind.SESSIONS, days(30), "their end", End.DELETED, is_evidence=True),
        Rule(Kind.INVITATIONS, days(90), "their end", End.DELETED, is_evidence=True),
        Rule(Kind.PASSWORD_RESETS, days(30), "their end", End.DELETED),
        Rule(Kind.REGISTRATIONS, days(30), "their end", End.DELETED),
        Rule(Kind.IDEMPOTENCY_KEYS, IDEMPOTENCY_LIFETIME, "the answer", End.DELETED),
        Rule(Kind.OUTGOING_MAILS, days(1), "their end", End.DELETED),
        Rule(Kind.RUNS, days(180), "their end", End.DELETED),
        Rule(Kind.SIZE_SAMPLES, days(400), "their day", End.DELETED),
        Rule(Kind.STATEMENT_SAMPLES, days(400), "their day", End.DELETED),
        Rule(Kind.SECURITY_EVENT_COUNTS, days(90), "their minute", End.DELETED_BY_JOB),
        Rule(Kind.ERROR_GROUPS, ERRORS_KEPT, "their hour", End.DELETED_BY_JOB),
        Rule(Kind.ARCHIVES, None, "their making", End.KEPT, is_evidence=True),
    )


def start_of(day: date) -> datetime:
    """The first moment of a day in UTC."""
    return datetime.combine(day, time(), UTC)
