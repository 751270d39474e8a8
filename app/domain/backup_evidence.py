"""Evidence of backups: how old the last one is, whether a restore has proven it, and where the copies are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.domain.backups import OWN_TOOL, USABLE, BackupStatus, StoreName
from app.domain.findings import Finding, Level
from app.domain.run_evidence import RunEvidence, command_of
from app.domain.runs import RunKind, RunStatus
from app.domain.words import ByteCount, duration_in_words, number_of

BACKUP_WARNING, BACKUP_BAD = timedelta(hours=26), timedelta(hours=48)
"""One is made each day, and takes a while; the second day without one is a day too many."""
VERIFIED_WARNING, VERIFIED_BAD = timedelta(days=9), timedelta(days=30)
"""One is verified each week, and may fail once."""
SHRUNK_FROM = 64 * 1024
"""Backups below this size come and go with the first licenses, and say nothing by their size."""
ROOM_FACTOR = 1.2
"""Room that the next backup needs, times the size of the last one."""
RETENTION_PATIENCE = timedelta(days=2)
"""What retention lets go is deleted after the next backup, which may fail once."""
BACKUP_CHECKS = frozenset(
    {"last_backup", "failed_backups", "last_verification", "failed_verification", "damaged_backups", "last_drill"}
)
"""What is said of backups wherever the database is looked at."""
_ENDED_BADLY = (RunStatus.FAILED, RunStatus.LOST)


@dataclass(frozen=True, slots=True)
class BackupFacts:
    """A backup of the catalog; one is damaged when it was stored and has failed since."""

    id: UUID
    tool: str
    status: str
    is_pinned: bool
    created_at: datetime
    finished_at: datetime | None
    bytes: int | None
    stores: tuple[str, ...]
    is_encrypted: bool
    verified_at: datetime | None
    recovery_seconds: float | None
    failure: str | None
    is_damaged: bool

    @property
    def is_usable(self) -> bool:
        """Whether it can be restored, as far as anybody knows."""
        return self.status in USABLE

    @property
    def is_ours(self) -> bool:
        """Whether this server made it; others are only reported to it."""
        return self.tool == OWN_TOOL


@dataclass(frozen=True, slots=True)
class Kept:
    """What our own backups add up to; `overdue` are those that retention has let go a while ago."""

    count: int
    verified: int
    pinned: int
    bytes: int
    oldest_at: datetime | None
    in_clear_elsewhere: int
    overdue: int


@dataclass(frozen=True, slots=True)
class Slot:
    """When a schedule that is enabled makes or verifies a backup next; None when nobody has planned it yet."""

    schedule: str
    kind: str
    next_run_at: datetime | None


@dataclass(frozen=True, slots=True)
class BackupEvidence:
    """Everything that the database knows of backups; `recent` are the newest that have ended, those of all tools.

    `newest` is the newest that can be restored, `proven` the one that was verified last and still counts as such.
    """

    recent: tuple[BackupFacts, ...]
    newest: BackupFacts | None
    proven: BackupFacts | None
    kept: Kept
    slots: tuple[Slot, ...]
    backups: RunEvidence
    verifications: RunEvidence
    drills: RunEvidence

    @property
    def installed_at(self) -> datetime | None:
        """Since when there could be any."""
        return self.backups.installed_at


@dataclass(frozen=True, slots=True)
class Places:
    """Where backups are put; `shares_disk` says that they lie on the disk of the database itself."""

    copies_to_s3: bool
    encrypts: bool
    shares_disk: bool


def judge_last_backup(evidence: BackupEvidence, now: datetime) -> Iterator[Finding]:
    """How old the newest backup is, and what has failed since."""
    check, action = "last_backup", command_of(RunKind.BACKUP)
    newest = evidence.newest
    if newest is None:
        level = _level_of_age(evidence.installed_at, now, BACKUP_WARNING, BACKUP_BAD)
        if level is Level.GOOD:
            yield Finding(check, Level.GOOD, "There is no backup yet, and none is due.")
        else:
            yield Finding(check, level, "There is no backup that could be restored.", action)
    else:
        level = _level_of_age(newest.created_at, now, BACKUP_WARNING, BACKUP_BAD)
        proof = "verified" if newest.status == BackupStatus.VERIFIED else "not verified yet"
        by = "" if newest.is_ours else f" by {newest.tool}"
        age = duration_in_words(max(0.0, (now - newest.created_at).total_seconds()))
        sentence = f"The last backup{by} is of {_moment(newest.created_at)}, {age} old, and {proof}."
        yield Finding(check, level, sentence, None if level is Level.GOOD else action)
    yield from _judge_failures(evidence)


def judge_verification(evidence: BackupEvidence, now: datetime) -> Iterator[Finding]:
    """When a backup was last restored on trial, how long that took, and what was found damaged."""
    check, action, proven = "last_verification", command_of(RunKind.VERIFY), evidence.proven
    if proven is None or proven.verified_at is None:
        level = _level_of_age(evidence.installed_at, now, VERIFIED_WARNING, VERIFIED_BAD)
        if level is Level.GOOD:
            yield Finding(check, Level.GOOD, "No backup was restored on trial yet, and none is due.")
        else:
            yield Finding(check, level, "No backup that is there was ever restored on trial.", action)
    else:
        level = _level_of_age(proven.verified_at, now, VERIFIED_WARNING, VERIFIED_BAD)
        took = proven.recovery_seconds
        time = "" if took is None else f", in {duration_in_words(took)}"
        sentence = (
            f"On {_moment(proven.verified_at)} the backup of {_moment(proven.created_at)} was restored on trial{time}."
        )
        yield Finding(check, level, sentence, None if level is Level.GOOD else action)
    yield from _judge_trials(evidence)


def judge_places(evidence: BackupEvidence, places: Places) -> Iterator[Finding]:
    """Where the copies are, and whether who finds them can read them; nothing is said before there are any."""
    ours = next((one for one in evidence.recent if one.is_ours and one.is_usable), None)
    if ours is None:
        return
    yield _judge_copies(ours, places)
    elsewhere = evidence.kept.in_clear_elsewhere
    if places.copies_to_s3 and not places.encrypts:
        sentence = "Backups are copied to S3 without encryption: who reads the bucket has every password hash."
        action = "license-server backups generate-key  # for BACKUP_ENCRYPTION_KEY; keep a copy apart from the backups"
        yield Finding("backup_encryption", Level.WARNING, sentence, action)
    elif elsewhere:
        sentence = f"New backups are encrypted; {number_of(elsewhere, 'older one')} in S3 will not be until gone."
        yield Finding("backup_encryption", Level.GOOD, sentence)


def judge_sizes(evidence: BackupEvidence) -> Iterator[Finding]:
    """What the last of our backups weighs, against the one before and against the oldest that is looked at."""
    sized = [one for one in evidence.recent if one.is_ours and one.is_usable and one.bytes is not None]
    if not sized:
        return
    last, size = sized[0], ByteCount(sized[0].bytes or 0)
    if len(sized) == 1:
        yield Finding("backup_size", Level.GOOD, f"The last backup has {size}.")
        return
    before = ByteCount(sized[1].bytes or 0)
    if size * 2 < before and before >= SHRUNK_FROM:
        sentence = f"The last backup has {size}, less than half of the {before} of the one before."
        yield Finding("backup_size", Level.WARNING, sentence, f"{command_of(RunKind.VERIFY)} {last.id}")
        return
    oldest = sized[-1]
    change = size - (oldest.bytes or 0)
    words = "as much as" if change == 0 else f"{ByteCount(abs(change))} {'more' if change > 0 else 'less'} than"
    sentence = f"The last backup has {size}, {words} the one of {oldest.created_at:%Y-%m-%d}."
    yield Finding("backup_size", Level.GOOD, sentence)


def judge_retention(evidence: BackupEvidence) -> Finding:
    """How many backups there are, and whether those that have had their time go."""
    kept = evidence.kept
    oldest = "" if kept.oldest_at is None else f", the oldest of {kept.oldest_at:%Y-%m-%d}"
    sentence = (
        f"{number_of(kept.count, 'backup')} of {ByteCount(kept.bytes)} are kept{oldest};"
        f" {kept.verified} verified, {kept.pinned} pinned."
    )
    if kept.overdue == 0:
        return Finding("backup_retention", Level.GOOD, sentence)
    sentence = f"{sentence} Retention has let {number_of(kept.overdue, 'backup')} go, and the files are still there."
    return Finding("backup_retention", Level.WARNING, sentence, "license-server backups expire --dry-run")


def judge_slots(evidence: BackupEvidence) -> Iterator[Finding]:
    """When the next backup and the next verification come; another tool's backups need no schedule of ours."""
    is_ours = evidence.newest is None or evidence.newest.is_ours
    for kind, name, noun in (
        (RunKind.BACKUP, "daily-backup", "backup"),
        (RunKind.VERIFY, "weekly-verify", "verification"),
    ):
        slots = [one for one in evidence.slots if one.kind == kind]
        planned = [one.next_run_at for one in slots if one.next_run_at is not None]
        if planned:
            yield Finding("backup_schedules", Level.GOOD, f"The next {noun} comes on {_moment(min(planned))}.")
        elif slots:
            yield Finding("backup_schedules", Level.GOOD, f"The next {noun} is planned when a server looks.")
        elif is_ours:
            action = f"license-server schedules enable {name}"
            yield Finding("backup_schedules", Level.WARNING, f"No schedule that is enabled does a {noun}.", action)


def judge_room(evidence: BackupEvidence, free: ByteCount) -> Iterator[Finding]:
    """Whether the next backup has room beside the others, by the size of the last one."""
    last = next((one for one in evidence.recent if one.is_ours and one.is_usable and one.bytes is not None), None)
    if last is None:
        return
    size, room = ByteCount(last.bytes or 0), f"{free} are free at BACKUP_DIR, and the last backup has"
    if free >= ROOM_FACTOR * size:
        yield Finding("backup_room", Level.GOOD, f"{room} {size}.")
    else:
        sentence = f"{room} {size}: the next one has no room."
        yield Finding("backup_room", Level.BAD, sentence, "license-server backups expire --dry-run")


def _judge_failures(evidence: BackupEvidence) -> Iterator[Finding]:
    """Backups that failed after the newest that can be restored; runs may fail before a backup is on record."""
    since = None if evidence.newest is None else evidence.newest.created_at
    failures = [
        (one.finished_at or one.created_at, one.failure)
        for one in evidence.recent
        if one.status == BackupStatus.FAILED and not one.is_damaged
    ]
    on_record = {reason for _, reason in failures}
    failures += [
        (run.finished_at, run.failure)
        for run in evidence.backups.runs
        if run.status in _ENDED_BADLY and run.failure not in on_record
    ]
    late = sorted((one for one in failures if since is None or one[0] > since), key=lambda one: one[0])
    if late:
        at, reason = late[-1]
        sentence = f"{number_of(len(late), 'backup')} failed since then, the last on {_moment(at)}"
        told = f"{sentence}: {_without_stop(reason)}." if reason else f"{sentence}."
        yield Finding("failed_backups", Level.WARNING, told, command_of(RunKind.BACKUP))
    last = evidence.backups.runs[0] if evidence.backups.runs else None
    if last is not None and last.status == RunStatus.SUCCEEDED_WITH_WARNINGS:
        sentence = f"The last backup that was made here, on {_moment(last.finished_at)}, has warnings."
        yield Finding("failed_backups", Level.WARNING, sentence, "license-server runs list --kind backup")


def _judge_trials(evidence: BackupEvidence) -> Iterator[Finding]:
    proven_at = None if evidence.proven is None else evidence.proven.verified_at
    last = evidence.verifications.runs[0] if evidence.verifications.runs else None
    is_later = last is not None and (proven_at is None or last.finished_at > proven_at)
    if last is not None and is_later and last.status in _ENDED_BADLY:
        reason = f": {_without_stop(last.failure)}" if last.failure else ""
        sentence = f"The last verification, on {_moment(last.finished_at)}, is {last.status}{reason}."
        yield Finding("failed_verification", Level.WARNING, sentence, command_of(RunKind.VERIFY))
    damaged = [one for one in evidence.recent if one.is_damaged]
    if damaged:
        is_last = evidence.newest is None or damaged[0].created_at > evidence.newest.created_at
        sentence = (
            f"{number_of(len(damaged), 'backup')} can't be restored; the newest of them, of"
            f" {_moment(damaged[0].created_at)}: {_without_stop(damaged[0].failure or 'nobody has said why')}."
        )
        level, action = Level.BAD if is_last else Level.WARNING, f"license-server backups show {damaged[0].id}"
        yield Finding("damaged_backups", level, sentence, command_of(RunKind.BACKUP) if is_last else action)


def _judge_copies(ours: BackupFacts, places: Places) -> Finding:
    check, where = "backup_copies", where_is(ours.stores)
    if not ours.stores:
        return Finding(check, Level.BAD, "The file of the last backup is nowhere.", command_of(RunKind.BACKUP))
    if places.copies_to_s3 and StoreName.S3 not in ours.stores:
        sentence = f"The last backup is in {where} alone: it was not copied to S3."
        return Finding(check, Level.WARNING, sentence, command_of(RunKind.BACKUP))
    if not places.copies_to_s3 and places.shares_disk:
        sentence = "Backups lie on the disk of the database alone: what destroys the one destroys the other."
        return Finding(check, Level.WARNING, sentence, "Set BACKUP_S3_URL, or BACKUP_DIR to another disk.")
    return Finding(check, Level.GOOD, f"The last backup is in {where}.")


def where_is(stores: Sequence[str]) -> str:
    """Where copies are, by the names of the settings."""
    names = {StoreName.LOCAL: "BACKUP_DIR", StoreName.S3: "S3"}
    return " and ".join(names[one] for one in StoreName if one in stores) or "no store"


def _level_of_age(since: datetime | None, now: datetime, warning: timedelta, bad: timedelta) -> Level:
    """Nothing is late where nobody knows since when it could be."""
    if since is None or now - since <= warning:
        return Level.GOOD
    return Level.WARNING if now - since <= bad else Level.BAD


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%MZ}"


def _without_stop(sentence: str) -> str:
    return sentence.rstrip(".")
