"""What is said of backups: by age, by proof, by what failed since, and by where the copies are."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from app.domain.backup_evidence import (
    BackupEvidence,
    BackupFacts,
    Kept,
    Places,
    Slot,
    judge_last_backup,
    judge_places,
    judge_retention,
    judge_room,
    judge_sizes,
    judge_slots,
    judge_verification,
)
from app.domain.backups import OWN_TOOL, BackupStatus
from app.domain.findings import Finding, Level
from app.domain.run_evidence import EndedRun, RunEvidence, command_of, judge_runs
from app.domain.runs import RunKind, RunStatus
from app.domain.words import ByteCount
from tests.factories.store import NOW

MEGABYTE = 1024 * 1024
ID = UUID("0198c1a2-0000-7000-8000-00000000000a")
NOTHING_KEPT = Kept(0, 0, 0, 0, None, 0, 0)
PLACES = Places(copies_to_s3=False, encrypts=False, shares_disk=False)


def backup(hours: float = 1, **fields: Any) -> BackupFacts:
    """A backup of ours that was stored so many hours ago."""
    at = NOW - timedelta(hours=hours)
    made = BackupFacts(
        *(ID, OWN_TOOL, BackupStatus.STORED, False, at, at, MEGABYTE, ("local",), False, None, None, None, False)
    )
    return replace(made, **fields)


def verified(days: float, **fields: Any) -> BackupFacts:
    """A backup that was restored on trial so many days ago."""
    at = NOW - timedelta(days=days)
    return backup(status=BackupStatus.VERIFIED, verified_at=at, created_at=at, **fields)


def ended(kind: RunKind, *runs: EndedRun, installed_days: float | None = 400) -> RunEvidence:
    installed_at = None if installed_days is None else NOW - timedelta(days=installed_days)
    return RunEvidence(kind, runs, None, installed_at)


def failed_run(hours: float, failure: str = "The disk is full.", status: str = RunStatus.FAILED) -> EndedRun:
    return EndedRun(status, "schedule", NOW - timedelta(hours=hours), 0, failure)


def evidence(*recent: BackupFacts, installed_days: float | None = 400, **fields: Any) -> BackupEvidence:
    """What the catalog tells, newest first."""
    usable = [one for one in recent if one.is_usable]
    proven = [one for one in recent if one.status == BackupStatus.VERIFIED]
    found = BackupEvidence(
        recent=recent,
        newest=next(iter(usable), None),
        proven=next(iter(proven), None),
        kept=NOTHING_KEPT,
        slots=(),
        backups=ended(RunKind.BACKUP, installed_days=installed_days),
        verifications=ended(RunKind.VERIFY),
        drills=ended(RunKind.DRILL),
    )
    return replace(found, **fields)


@pytest.mark.parametrize(
    ("hours", "level", "action"),
    [
        (26, Level.GOOD, None),
        (26.1, Level.WARNING, "license-server backup"),
        (48, Level.WARNING, "license-server backup"),
        (48.1, Level.BAD, "license-server backup"),
    ],
)
def test_a_backup_is_late_after_26_hours_and_missing_after_48(hours: float, level: Level, action: str | None) -> None:
    [found] = judge_last_backup(evidence(backup(hours)), NOW)

    assert (found.check, found.level, found.action) == ("last_backup", level, action)


@pytest.mark.parametrize(
    ("installed_days", "level"), [(None, Level.GOOD), (1, Level.GOOD), (1.5, Level.WARNING), (2.1, Level.BAD)]
)
def test_without_any_backup_the_age_of_the_installation_counts(installed_days: float | None, level: Level) -> None:
    [found] = judge_last_backup(evidence(installed_days=installed_days), NOW)

    assert found.level is level


def test_a_backup_of_another_tool_counts_and_is_named() -> None:
    [found] = judge_last_backup(evidence(backup(2, tool="pgbackrest", stores=())), NOW)

    assert found.sentence == "The last backup by pgbackrest is of 2026-03-01 10:00Z, 2 h old, and not verified yet."


def test_a_failure_is_told_while_no_later_backup_has_succeeded() -> None:
    failure = backup(1, status=BackupStatus.FAILED, failure="pg_dump was killed.", bytes=None)

    since = list(judge_last_backup(evidence(failure, backup(20)), NOW))
    made_good = list(judge_last_backup(evidence(backup(0.5), failure), NOW))

    assert since[1] == Finding(
        "failed_backups",
        Level.WARNING,
        "1 backup failed since then, the last on 2026-03-01 11:00Z: pg_dump was killed.",
        "license-server backup",
    )
    assert [one.level for one in made_good] == [Level.GOOD]


def test_a_run_that_failed_before_there_was_a_backup_on_record_is_a_failure_too() -> None:
    runs = ended(RunKind.BACKUP, failed_run(3, "pg_dump is missing."))

    found = list(judge_last_backup(evidence(backup(20), backups=runs), NOW))
    on_record = backup(3, status=BackupStatus.FAILED, failure="pg_dump is missing.")
    once = list(judge_last_backup(evidence(on_record, backup(20), backups=runs), NOW))

    assert "pg_dump is missing." in found[1].sentence
    assert once[1].sentence.startswith("1 backup failed since then")


def test_a_backup_that_could_not_be_copied_everywhere_has_warnings_that_can_be_read() -> None:
    run = EndedRun(RunStatus.SUCCEEDED_WITH_WARNINGS, "schedule", NOW, 1, None)

    found = list(judge_last_backup(evidence(backup(1), backups=ended(RunKind.BACKUP, run)), NOW))

    assert (found[1].level, found[1].action) == (Level.WARNING, "license-server runs list --kind backup")


@pytest.mark.parametrize(
    ("days", "level"), [(9, Level.GOOD), (9.1, Level.WARNING), (30, Level.WARNING), (30.1, Level.BAD)]
)
def test_a_proof_is_old_after_nine_days_and_none_after_thirty(days: float, level: Level) -> None:
    [found] = judge_verification(evidence(backup(1), verified(days, recovery_seconds=34.4)), NOW)

    assert (found.check, found.level) == ("last_verification", level)
    assert found.sentence.endswith("was restored on trial, in 34 s.")


@pytest.mark.parametrize(("installed_days", "level"), [(9, Level.GOOD), (10, Level.WARNING), (31, Level.BAD)])
def test_a_backup_that_was_never_restored_is_no_proof(installed_days: float, level: Level) -> None:
    [found] = judge_verification(evidence(backup(1), installed_days=installed_days), NOW)

    assert found.level is level


def test_a_verification_that_failed_later_and_what_it_found_damaged_are_told() -> None:
    damaged = backup(2, status=BackupStatus.FAILED, failure="licenses has 9 of 3000 rows.", is_damaged=True)
    runs = ended(RunKind.VERIFY, failed_run(1, "licenses has 9 of 3000 rows."))

    newest = {one.check: one for one in judge_verification(evidence(damaged, verified(2), verifications=runs), NOW)}
    older = {one.check: one for one in judge_verification(evidence(backup(1), damaged, verified(2)), NOW)}

    assert newest["last_verification"].level is Level.GOOD
    assert newest["failed_verification"].action == "license-server backups verify"
    assert (newest["damaged_backups"].level, newest["damaged_backups"].action) == (Level.BAD, "license-server backup")
    assert "licenses has 9 of 3000 rows." in newest["damaged_backups"].sentence
    assert older["damaged_backups"].level is Level.WARNING
    assert older["damaged_backups"].action == f"license-server backups show {ID}"


def test_a_drill_is_due_after_a_hundred_days() -> None:
    young = judge_runs(ended(RunKind.DRILL, installed_days=100), NOW)
    overdue = judge_runs(ended(RunKind.DRILL, installed_days=101), NOW)

    assert (young.level, young.sentence) == (Level.GOOD, "No drill has run yet, and none is due.")
    assert (overdue.level, overdue.action) == (Level.WARNING, "license-server drill")


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        (RunKind.BACKUP, "license-server backup"),
        (RunKind.VERIFY, "license-server backups verify"),
        (RunKind.RESTORE, "license-server restore"),
        (RunKind.ROLLBACK, "license-server restore rollback"),
        (RunKind.DRILL, "license-server drill"),
        (RunKind.PRUNE, "license-server maintenance prune"),
    ],
)
def test_each_kind_of_run_has_the_command_that_does_it(kind: RunKind, command: str) -> None:
    assert command_of(kind) == command


@pytest.mark.parametrize(
    ("stores", "s3", "shares_disk", "level", "words"),
    [
        (("local", "s3"), True, True, Level.GOOD, "is in BACKUP_DIR and S3."),
        (("local",), True, False, Level.WARNING, "it was not copied to S3."),
        (("local",), False, True, Level.WARNING, "on the disk of the database alone"),
        (("local",), False, False, Level.GOOD, "is in BACKUP_DIR."),
        ((), True, False, Level.BAD, "is nowhere."),
    ],
)
def test_a_copy_elsewhere_is_asked_for(
    stores: tuple[str, ...], s3: bool, shares_disk: bool, level: Level, words: str
) -> None:
    places = replace(PLACES, copies_to_s3=s3, encrypts=True, shares_disk=shares_disk)

    found = {one.check: one for one in judge_places(evidence(backup(stores=stores)), places)}

    assert found["backup_copies"].level is level
    assert words in found["backup_copies"].sentence


@pytest.mark.parametrize(
    ("s3", "encrypts", "in_clear", "level"),
    [
        (True, False, 4, Level.WARNING),
        (True, True, 4, Level.GOOD),
        (True, True, 0, None),
        (False, False, 0, None),
    ],
)
def test_what_leaves_the_machine_in_clear_is_told(s3: bool, encrypts: bool, in_clear: int, level: Level | None) -> None:
    kept = replace(NOTHING_KEPT, in_clear_elsewhere=in_clear)
    places = replace(PLACES, copies_to_s3=s3, encrypts=encrypts)

    found = {one.check: one for one in judge_places(evidence(backup(stores=("local", "s3")), kept=kept), places)}

    assert (found["backup_encryption"].level if "backup_encryption" in found else None) is level


def test_places_of_backups_are_not_judged_before_there_are_any() -> None:
    assert list(judge_places(evidence(), replace(PLACES, copies_to_s3=True))) == []
    assert list(judge_sizes(evidence())) == []
    assert list(judge_room(evidence(), ByteCount(0))) == []


@pytest.mark.parametrize(
    ("sizes", "level", "words"),
    [
        ((5 * MEGABYTE,), Level.GOOD, "has 5.0 MB."),
        ((5 * MEGABYTE, 5 * MEGABYTE, 4 * MEGABYTE), Level.GOOD, "has 5.0 MB, 1.0 MB more than the one of"),
        ((5 * MEGABYTE, 5 * MEGABYTE), Level.GOOD, "as much as the one of"),
        ((5 * MEGABYTE, 6 * MEGABYTE), Level.GOOD, "1.0 MB less than the one of"),
        ((2 * MEGABYTE, 5 * MEGABYTE), Level.WARNING, "less than half of the 5.0 MB of the one before."),
        ((20, 60_000), Level.GOOD, "less than the one of"),
    ],
)
def test_a_backup_that_lost_half_of_its_size_is_to_be_looked_at(
    sizes: tuple[int, ...], level: Level, words: str
) -> None:
    [found] = judge_sizes(evidence(*(backup(24 * day, bytes=size) for day, size in enumerate(sizes))))

    assert found.level is level
    assert words in found.sentence
    assert found.action == (f"license-server backups verify {ID}" if level is Level.WARNING else None)


@pytest.mark.parametrize(("overdue", "level"), [(0, Level.GOOD), (1, Level.WARNING)])
def test_backups_that_retention_has_let_go_should_be_gone(overdue: int, level: Level) -> None:
    kept = Kept(12, 5, 1, 12 * MEGABYTE, NOW - timedelta(days=40), 0, overdue)

    found = judge_retention(evidence(kept=kept))

    assert found.level is level
    assert found.sentence.startswith("12 backups of 12.0 MB are kept, the oldest of 2026-01-20; 5 verified, 1 pinned.")


def test_the_next_slots_are_told_and_a_schedule_that_is_off_is_a_warning() -> None:
    slots = (Slot("nightly", "backup", NOW + timedelta(hours=14)), Slot("weekly-verify", "verify", None))

    planned = [one.sentence for one in judge_slots(evidence(slots=slots))]
    off = list(judge_slots(evidence()))
    of_another_tool = list(judge_slots(evidence(backup(tool="wal-g"))))

    assert planned == [
        "The next backup comes on 2026-03-02 02:00Z.",
        "The next verification is planned when a server looks.",
    ]
    assert [one.action for one in off] == [
        "license-server schedules enable daily-backup",
        "license-server schedules enable weekly-verify",
    ]
    assert of_another_tool == []


@pytest.mark.parametrize(("free", "level"), [(1.2, Level.GOOD), (1.1, Level.BAD)])
def test_the_next_backup_needs_the_room_of_the_last_and_a_fifth(free: float, level: Level) -> None:
    [found] = judge_room(evidence(backup(bytes=MEGABYTE)), ByteCount(round(free * MEGABYTE) + 1))

    assert found.level is level
