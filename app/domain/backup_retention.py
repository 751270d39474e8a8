"""Retention of backups: which go, which stay, and why; only what was proven lets anything go."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from app.domain.backups import OWN_TOOL, USABLE, BackupStatus


class BackupFacts(Protocol):
    """What retention looks at; a row of the catalog has it."""

    @property
    def id(self) -> UUID:
        """Whose facts they are."""
        ...

    @property
    def tool(self) -> str:
        """Who made it."""
        ...

    @property
    def status(self) -> str:
        """How far it is."""
        ...

    @property
    def is_pinned(self) -> bool:
        """Whether somebody wants it to stay."""
        ...

    @property
    def created_at(self) -> datetime:
        """The moment of its snapshot."""
        ...

    @property
    def stores(self) -> Collection[str]:
        """Where its file is."""
        ...


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """Everything of so many days stays, then the newest verified of so many weeks and months, and so many verified."""

    days: int
    weeks: int
    months: int
    keep_verified: int


class Reason(StrEnum):
    """Why a backup stays or goes."""

    PINNED = "pinned"
    RUNNING = "running"
    OTHER_TOOL = "other_tool"
    NO_FILE = "no_file"
    FUTURE = "future"
    RECENT = "recent"
    MINIMUM = "minimum"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    UNPROVEN = "unproven"
    UNSEEN = "unseen"
    OLD = "old"
    NEVER_VERIFIED = "never_verified"
    FAILED = "failed"
    REQUESTED = "requested"


SENTENCES: Mapping[Reason, str] = {
    Reason.PINNED: "it is pinned",
    Reason.RUNNING: "it is being made",
    Reason.OTHER_TOOL: "another tool keeps its files",
    Reason.NO_FILE: "it is a record without a file",
    Reason.FUTURE: "it is dated later than now",
    Reason.RECENT: "it is within the days that all are kept",
    Reason.MINIMUM: "it is one of the verified ones that always stay",
    Reason.WEEKLY: "it is the newest verified one of its week",
    Reason.MONTHLY: "it is the newest verified one of its month",
    Reason.UNPROVEN: "no newer one is verified",
    Reason.UNSEEN: "no store that answers has its whole file",
    Reason.OLD: "it is older than what is kept",
    Reason.NEVER_VERIFIED: "it is old and was never verified, and a newer one is",
    Reason.FAILED: "it is old and failed",
    Reason.REQUESTED: "it was asked for",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """Which backups go and which stay, with why, in the order in which they were given; expired ones are in neither."""

    goes: Mapping[UUID, Reason]
    stays: Mapping[UUID, Reason]


def plan_retention(
    backups: Iterable[BackupFacts], policy: RetentionPolicy, now: datetime, unseen: Collection[UUID] = ()
) -> Plan:
    """What to delete now; carried out one by one, in any order, stopped anywhere, it stays the same plan.

    Those dated later than now stay and count for nothing, so that a clock that was ahead deletes nobody else's. So do
    those that are `unseen`, whose whole file was looked for in vain: a row alone restores nothing.
    """
    present = [one for one in backups if one.status != BackupStatus.EXPIRED]
    proven = sorted((one for one in present if _is_proven(one, now) and one.id not in unseen), key=_order, reverse=True)
    kept = _kept(proven, policy, now)
    goes: dict[UUID, Reason] = {}
    stays: dict[UUID, Reason] = {}
    for one in present:
        reason = _untouched(one, policy, now) or kept.get(one.id)
        if reason is not None:
            stays[one.id] = reason
        elif one.id in unseen and one.status in USABLE:
            stays[one.id] = Reason.UNSEEN
        elif one.status == BackupStatus.FAILED:
            goes[one.id] = Reason.FAILED
        elif one.status == BackupStatus.VERIFIED:
            goes[one.id] = Reason.OLD
        elif proven and _order(one) < _order(proven[0]):
            goes[one.id] = Reason.NEVER_VERIFIED
        else:
            stays[one.id] = Reason.UNPROVEN
    return Plan(goes, stays)


def is_last_good(backups: Iterable[BackupFacts], backup_id: UUID) -> bool:
    """Whether nothing as good would be left without it: the only verified one, or the only usable one without any."""
    own = [one for one in backups if one.tool == OWN_TOOL and one.status in USABLE]
    verified = [one.id for one in own if one.status == BackupStatus.VERIFIED]
    return (verified or [one.id for one in own]) == [backup_id]


def _is_proven(one: BackupFacts, now: datetime) -> bool:
    return one.tool == OWN_TOOL and one.status == BackupStatus.VERIFIED and one.created_at <= now


def _order(one: BackupFacts) -> tuple[datetime, UUID]:
    return one.created_at, one.id


def _untouched(one: BackupFacts, policy: RetentionPolicy, now: datetime) -> Reason | None:
    """Why it stays whatever the others are."""
    for applies, reason in (
        (one.tool != OWN_TOOL, Reason.OTHER_TOOL),
        (one.status == BackupStatus.RUNNING, Reason.RUNNING),
        (one.is_pinned, Reason.PINNED),
        (one.status == BackupStatus.FAILED and not one.stores, Reason.NO_FILE),
        (one.created_at > now, Reason.FUTURE),
        (now - one.created_at <= timedelta(days=policy.days), Reason.RECENT),
    ):
        if applies:
            return reason
    return None


def _kept(proven: list[BackupFacts], policy: RetentionPolicy, now: datetime) -> Mapping[UUID, Reason]:
    """Which of the verified ones, newest first, stay for being verified; the least telling reason is overwritten."""
    this_month = _month(now)
    months = {this_month - ago for ago in range(policy.months)}
    weeks = {_week(now - timedelta(weeks=ago)) for ago in range(policy.weeks)}
    kept = dict.fromkeys(_newest_of_each(proven, _month, months), Reason.MONTHLY)
    kept |= dict.fromkeys(_newest_of_each(proven, _week, weeks), Reason.WEEKLY)
    return kept | {one.id: Reason.MINIMUM for one in proven[: max(1, policy.keep_verified)]}


def _newest_of_each(
    proven: list[BackupFacts], span: Callable[[datetime], object], wanted: Collection[object]
) -> Collection[UUID]:
    newest: dict[object, UUID] = {}
    for one in proven:
        if span(one.created_at) in wanted:
            newest.setdefault(span(one.created_at), one.id)
    return newest.values()


def _month(moment: datetime) -> int:
    """Months since the year 0, in UTC."""
    utc = moment.astimezone(UTC)
    return utc.year * 12 + utc.month


def _week(moment: datetime) -> date:
    """The Monday of its week, in UTC."""
    day = moment.astimezone(UTC).date()
    return day - timedelta(days=day.weekday())
