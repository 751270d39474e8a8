"""What is good, a warning or bad about connections, locks, transactions and upkeep: pure rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.domain.diagnostics import (
    connections,
    foreign_keys,
    invalid_objects,
    locks,
    replication,
    sequences,
    transactions,
    vacuum,
    wraparound,
)
from app.domain.diagnostics.answers import Answer, Status
from app.domain.diagnostics.connections import Capacity, Connections
from app.domain.diagnostics.foreign_keys import UnindexedForeignKey
from app.domain.diagnostics.invalid_objects import InvalidObject
from app.domain.diagnostics.locks import LockedSession, arrange
from app.domain.diagnostics.replication import Archiver, Replica, Replication
from app.domain.diagnostics.sequences import SequenceUse
from app.domain.diagnostics.transactions import OpenTransaction
from app.domain.diagnostics.vacuum import TableVacuum, VacuumHealth
from app.domain.diagnostics.wraparound import WraparoundAge
from app.domain.findings import Level

NOW = datetime(2026, 3, 31, tzinfo=UTC)
GB = 1024**3
GOOD, WARNING, BAD, UNAVAILABLE = Level.GOOD, Level.WARNING, Level.BAD, Level.UNAVAILABLE


@pytest.mark.parametrize(("used", "level"), [(0, GOOD), (77, GOOD), (78, WARNING), (92, WARNING), (93, BAD), (99, BAD)])
def test_connections_run_out_before_those_that_are_kept_back(used: int, level: Level) -> None:
    [finding] = connections.judge(Connections(capacity=Capacity(used, 100, 3)))

    assert finding.level is level
    assert finding.action == (None if level is GOOD else "ALTER SYSTEM SET max_connections = 200;")


def session(pid: int, *blocked_by: int, seconds: float | None = None, state: str = "active") -> LockedSession:
    return LockedSession(pid, blocked_by, 0, "u", "a", state, None, None, seconds, None, None, None)


def test_blockers_stand_before_whom_they_block() -> None:
    tree = arrange([session(3, 2, seconds=5), session(2, 1, seconds=9), session(1), session(4, 1, 2, seconds=1)])

    assert [(one.pid, one.depth) for one in tree] == [(1, 0), (2, 1), (3, 2), (4, 1)]
    assert [one.action for one in tree] == ["SELECT pg_cancel_backend(1);", None, None, None]


def test_sessions_that_wait_in_a_circle_stand_once_each() -> None:
    assert sorted(one.pid for one in arrange([session(1, 2), session(2, 1)])) == [1, 2]


@pytest.mark.parametrize(
    ("blocker", "action"),
    [
        (session(7), "SELECT pg_cancel_backend(7);"),
        (session(7, state="idle in transaction"), "SELECT pg_terminate_backend(7);"),
        (session(0, state="prepared"), "license-server database transactions"),
    ],
)
def test_what_ends_a_hold_depends_on_who_holds(blocker: LockedSession, action: str) -> None:
    assert arrange([blocker, session(9, blocker.pid, seconds=1)])[0].action == action


@pytest.mark.parametrize(("seconds", "level"), [(4.9, GOOD), (5, WARNING), (59, WARNING), (60, BAD)])
def test_waiting_long_for_a_lock_is_no_good(seconds: float, level: Level) -> None:
    [finding] = locks.judge(Answer(items=arrange([session(1), session(2, 1, seconds=seconds)])))

    assert (finding.level, finding.action) == (level, None if level is GOOD else "SELECT pg_cancel_backend(1);")


@pytest.mark.parametrize(
    ("state", "seconds", "level"),
    [
        ("active", 899, GOOD),
        ("active", 900, WARNING),
        ("active", 3600, BAD),
        (None, 900, WARNING),
        ("idle in transaction", 59, GOOD),
        ("idle in transaction", 60, WARNING),
        ("idle in transaction (aborted)", 60, WARNING),
        ("prepared", 60, WARNING),
        ("prepared", 3600, BAD),
    ],
)
def test_a_transaction_that_is_open_for_long_is_no_good(state: str | None, seconds: float, level: Level) -> None:
    pid = None if state == "prepared" else 7
    one = OpenTransaction(pid, None, None, None, state, NOW, seconds, None, None, None, "end it")

    [finding] = transactions.judge(Answer(items=(one,)))

    assert (finding.level, finding.action) == (level, None if level is GOOD else "end it")


def age(xid: int, multixact: int = 0, kind: str = "database", *, is_ours: bool = True) -> WraparoundAge:
    schema = "public" if kind == "table" else None
    share = max(xid, multixact) / 2**31
    return WraparoundAge(kind, schema, f"a_{kind}", xid, 200_000_000, multixact, 400_000_000, share, is_ours)


@pytest.mark.parametrize(
    ("items", "level", "action"),
    [
        ((age(399_999_999),), GOOD, None),
        ((age(400_000_000),), WARNING, "license-server maintenance vacuum --force"),
        ((age(0, 800_000_000),), WARNING, "license-server maintenance vacuum --force"),
        ((age(2**30),), BAD, "license-server maintenance vacuum --force"),
        ((age(2**30), age(2**30, kind="table")), BAD, "license-server maintenance vacuum --table a_table --force"),
        ((replace(age(2**30, kind="table"), schema_name="pg_catalog"),), BAD, "VACUUM (FREEZE);"),
        ((age(2**30, is_ours=False),), BAD, "vacuumdb --freeze --dbname=a_database"),
    ],
)
def test_an_age_that_autovacuum_does_not_stop_is_no_good(
    items: tuple[WraparoundAge, ...], level: Level, action: str | None
) -> None:
    [finding] = wraparound.judge(Answer(items=items))

    assert (finding.level, finding.action) == (level, action)


@pytest.mark.parametrize(
    ("share", "is_cycle", "level"),
    [(None, False, GOOD), (0.69, False, GOOD), (0.7, False, WARNING), (0.9, False, BAD), (1.0, True, GOOD)],
)
def test_a_sequence_that_runs_out_is_no_good(share: float | None, is_cycle: bool, level: Level) -> None:
    one = SequenceUse("public", "Odd", None, "integer", 1, 2**31 - 1, share, is_cycle)

    [finding] = sequences.judge(Answer(items=(one,)))

    assert (finding.level, finding.action) == (
        level,
        None if level is GOOD else 'ALTER SEQUENCE "public"."Odd" AS bigint;',
    )


def test_a_sequence_of_the_largest_type_needs_another_maximum() -> None:
    alone = SequenceUse("public", "s", None, "bigint", 10, 10, 1.0, False)
    owned = SequenceUse("public", "s", "t.id", "integer", 10, 10, 1.0, False)

    [of_nobody] = sequences.judge(Answer(items=(alone,)))
    [of_a_column] = sequences.judge(Answer(items=(owned,)))

    assert of_nobody.sentence == "The sequence s has used 100% of its numbers."
    assert of_nobody.action == 'ALTER SEQUENCE "public"."s" NO MAXVALUE;'
    assert of_a_column.sentence.endswith(" Its column t.id must be bigint first.")


def test_each_invalid_object_is_a_warning() -> None:
    one = InvalidObject("leftover", "pg_toast", "x_ccnew", "t", "", 0, "DROP INDEX pg_toast.x_ccnew;")

    assert [finding.level for finding in invalid_objects.judge(Answer(items=(one, one)))] == [WARNING, WARNING]
    assert [finding.level for finding in invalid_objects.judge(Answer())] == [GOOD]


@pytest.mark.parametrize(("megabytes", "level"), [(99, GOOD), (100, WARNING)])
def test_a_large_table_whose_foreign_key_has_no_index_is_a_warning(megabytes: int, level: Level) -> None:
    one = UnindexedForeignKey("public", "t", "fk", ("a",), megabytes * 1024**2, "r", 1, "CREATE INDEX ...;")

    assert [finding.level for finding in foreign_keys.judge(Answer(items=(one,)))] == [level]


def vacuumed(share: float, dead: int, *, is_on: bool = True) -> TableVacuum:
    return TableVacuum("public", "t", 1, dead, 1, share, 0, 1, is_on, None, None, None, None)


@pytest.mark.parametrize(
    ("answer", "levels"),
    [
        (VacuumHealth(), [GOOD]),
        (VacuumHealth(items=(vacuumed(1.9, 5000),)), [GOOD]),
        (VacuumHealth(items=(vacuumed(9.0, 999),)), [GOOD]),
        (VacuumHealth(items=(vacuumed(2.0, 1000),)), [WARNING]),
        (VacuumHealth(items=(vacuumed(0, 0, is_on=False),)), [WARNING]),
        (VacuumHealth(is_autovacuum_on=False), [BAD]),
        (VacuumHealth(items=(vacuumed(2.0, 1000, is_on=False),), is_autovacuum_on=False), [BAD, WARNING, WARNING]),
        (VacuumHealth(Status.UNAVAILABLE), [UNAVAILABLE]),
    ],
)
def test_autovacuum_must_be_on_and_keep_up(answer: VacuumHealth, levels: list[Level]) -> None:
    findings = vacuum.judge(answer)

    assert [finding.level for finding in findings] == levels
    assert all(finding.action for finding in findings if finding.level in (WARNING, BAD))


STANDBY = Replica("standby", "s", None, "streaming", True, 0, 0.0)
SLOT = Replica("slot", "it's", None, "physical", False, 0, None)
ARCHIVER = Archiver(True, 1, 1, NOW, NOW, False)


@pytest.mark.parametrize(
    ("answer", "levels"),
    [
        (Replication(), [GOOD]),
        (Replication(archiver=ARCHIVER), [GOOD]),
        (Replication(archiver=replace(ARCHIVER, is_failing=True)), [BAD]),
        (Replication(items=(STANDBY,)), [GOOD]),
        (Replication(items=(replace(STANDBY, lag_seconds=60.0),)), [WARNING]),
        (Replication(items=(replace(STANDBY, lag_seconds=900.0),)), [BAD]),
        (Replication(items=(SLOT,)), [GOOD]),
        (Replication(items=(replace(SLOT, behind_bytes=GB),)), [WARNING]),
        (Replication(items=(replace(SLOT, behind_bytes=GB, is_active=True),)), [GOOD]),
        (Replication(items=(replace(SLOT, behind_bytes=10 * GB),)), [BAD]),
        (Replication(items=(replace(SLOT, behind_bytes=10 * GB, is_active=True),)), [BAD]),
        (Replication(Status.UNAVAILABLE), [UNAVAILABLE]),
    ],
)
def test_standbys_slots_and_the_archive_must_keep_up(answer: Replication, levels: list[Level]) -> None:
    findings = replication.judge(answer)

    assert [finding.level for finding in findings] == levels
    assert all(finding.action for finding in findings if finding.level in (WARNING, BAD))


def test_a_slot_that_nobody_uses_is_dropped_by_its_quoted_name() -> None:
    [finding] = replication.judge(Replication(items=(replace(SLOT, behind_bytes=GB),)))

    assert finding.action == "SELECT pg_drop_replication_slot('it''s');"
