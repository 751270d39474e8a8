"""Retention of backups: tiers, the minimum, and that nothing that happens can delete the last good one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from app.domain.backup_retention import Plan, Reason, RetentionPolicy, is_last_good, plan_retention
from app.domain.backups import OWN_TOOL, USABLE, BackupStatus

NOW = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
"""A Wednesday."""
GUIDE = RetentionPolicy(days=30, weeks=0, months=0, keep_verified=3)


@dataclass(frozen=True, slots=True)
class Facts:
    """A row of the catalog, as far as retention looks at it."""

    id: UUID
    status: BackupStatus
    created_at: datetime
    is_pinned: bool = False
    tool: str = OWN_TOOL
    stores: tuple[str, ...] = ("local",)


def aged(days: float, status: BackupStatus = BackupStatus.VERIFIED, **other: object) -> Facts:
    """A backup so many days old; its id tells its age."""
    return replace(Facts(UUID(int=int(days * 100) + 10**6), status, NOW - timedelta(days=days)), **other)  # type: ignore[arg-type]  # any field


def going(backups: Sequence[Facts], policy: RetentionPolicy = GUIDE, now: datetime = NOW) -> dict[int, Reason]:
    """Why those that go do, by their age in days."""
    plan = plan_retention(backups, policy, now)
    return {(NOW - one.created_at).days: plan.goes[one.id] for one in backups if one.id in plan.goes}


def staying(backups: Sequence[Facts], policy: RetentionPolicy = GUIDE, now: datetime = NOW) -> dict[int, Reason]:
    """Why those that stay do, by their age in days."""
    plan = plan_retention(backups, policy, now)
    return {(NOW - one.created_at).days: plan.stays[one.id] for one in backups if one.id in plan.stays}


def test_what_is_older_than_the_days_goes_once_enough_are_verified() -> None:
    backups = [aged(days) for days in (1, 2, 3, 29, 30, 31, 400)]

    assert going(backups) == {31: Reason.OLD, 400: Reason.OLD}
    assert going(backups[3:]) == {400: Reason.OLD}


def test_the_minimum_stays_whatever_its_age() -> None:
    assert staying([aged(days) for days in (100, 200, 300, 400)]) == dict.fromkeys((100, 200, 300), Reason.MINIMUM)


def test_unverified_ones_go_only_behind_a_newer_verified_one() -> None:
    stored = [aged(days, BackupStatus.STORED) for days in (40, 60)]

    assert going(stored) == {}
    assert going([*stored, aged(50)]) == {60: Reason.NEVER_VERIFIED}
    assert staying([*stored, aged(50)])[40] is Reason.UNPROVEN
    assert going([*stored, aged(1)]) == dict.fromkeys((40, 60), Reason.NEVER_VERIFIED)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"is_pinned": True}, Reason.PINNED),
        ({"status": BackupStatus.RUNNING}, Reason.RUNNING),
        ({"tool": "pgbackrest", "stores": ()}, Reason.OTHER_TOOL),
        ({"status": BackupStatus.FAILED, "stores": ()}, Reason.NO_FILE),
    ],
)
def test_some_never_go(other: dict[str, object], reason: Reason) -> None:
    backups = [*(aged(days) for days in (1, 2, 3)), replace(aged(500), **other)]  # type: ignore[arg-type]  # any field

    assert staying(backups)[500] is reason


def test_files_of_failed_ones_go_by_age_alone() -> None:
    failed = [aged(days, BackupStatus.FAILED) for days in (10, 40)]

    assert going(failed) == {40: Reason.FAILED}


def test_those_of_other_tools_prove_nothing_about_ours() -> None:
    theirs = [aged(days, tool="wal-g", stores=()) for days in (1, 2, 3)]

    assert going([*theirs, aged(50), aged(60, BackupStatus.STORED), aged(40, BackupStatus.STORED)]) == {
        60: Reason.NEVER_VERIFIED
    }


def test_tiers_keep_the_newest_verified_of_each_week_and_month() -> None:
    policy = RetentionPolicy(days=3, weeks=3, months=3, keep_verified=1)
    backups = [aged(days) for days in range(100)]

    kept = staying(backups, policy)

    assert {age for age, reason in kept.items() if reason is Reason.RECENT} == {0, 1, 2, 3}
    assert [age for age, reason in kept.items() if reason is Reason.WEEKLY] == [10]  # Sunday the 8th of March
    assert [age for age, reason in kept.items() if reason is Reason.MONTHLY] == [
        18,
        46,
    ]  # the last of February, January
    assert len(kept) == 7


def test_an_unverified_one_never_stands_for_its_week() -> None:
    policy = RetentionPolicy(days=1, weeks=4, months=0, keep_verified=1)

    kept = staying([aged(0), aged(9, BackupStatus.STORED), aged(10), aged(11)], policy)

    assert kept == {0: Reason.RECENT, 10: Reason.WEEKLY}


def test_a_clock_that_was_ahead_makes_nobody_elses_backup_go() -> None:
    ahead = [aged(-days) for days in (400, 401, 402)]
    ours = [aged(days) for days in (40, 50, 60, 70)] + [aged(35, BackupStatus.STORED)]

    assert going([*ahead, *ours]) == going(ours) == {70: Reason.OLD}
    assert staying(ahead) == dict.fromkeys((-400, -401, -402), Reason.FUTURE)


def test_the_last_good_one_is_the_only_verified_one_else_the_only_usable_one() -> None:
    verified, other, stored = aged(1), aged(2), aged(3, BackupStatus.STORED)
    theirs = aged(4, tool="wal-g")

    assert is_last_good([verified, stored, theirs], verified.id)
    assert not is_last_good([verified, stored, theirs], stored.id)
    assert not is_last_good([verified, other], verified.id)
    assert is_last_good([stored, theirs], stored.id)
    assert not is_last_good([stored, theirs], theirs.id)
    assert not is_last_good([stored, aged(5, BackupStatus.STORED)], stored.id)


POLICIES = st.builds(
    RetentionPolicy, st.integers(1, 40), st.integers(0, 6), st.integers(0, 4), keep_verified=st.integers(1, 4)
)
FACTS = st.builds(
    Facts,
    st.uuids(),
    st.sampled_from(BackupStatus),
    st.integers(-60, 300).map(lambda days: NOW - timedelta(days=days)),
    st.booleans(),
    st.sampled_from([OWN_TOOL, OWN_TOOL, OWN_TOOL, "wal-g"]),
    st.sampled_from([(), ("local",), ("local", "s3")]),
)


def require_tiers(backups: Sequence[Facts], plan: Plan, policy: RetentionPolicy, now: datetime) -> None:
    """By the calendar's own numbers: what goes is never the newest proven one of a week or month that is kept."""
    weeks = {_week_of(now - timedelta(weeks=ago)) for ago in range(policy.weeks)}
    months = {divmod(now.year * 12 + now.month - 1 - ago, 12) for ago in range(policy.months)}
    proven = [
        one for one in backups if one.tool == OWN_TOOL and one.status == BackupStatus.VERIFIED and one.created_at <= now
    ]
    for one in (one for one in backups if one.id in plan.goes):
        newer = [other for other in proven if (other.created_at, other.id) > (one.created_at, one.id)]
        assert newer or one.status == BackupStatus.FAILED
        if one in proven:
            week, month = _week_of(one.created_at), _month_of(one.created_at)
            assert week not in weeks or week in {_week_of(other.created_at) for other in newer}
            assert month not in months or month in {_month_of(other.created_at) for other in newer}


def _week_of(moment: datetime) -> tuple[int, int]:
    return moment.isocalendar()[:2]


def _month_of(moment: datetime) -> tuple[int, int]:
    return moment.year, moment.month - 1


@given(st.lists(FACTS, max_size=25, unique_by=lambda one: one.id), POLICIES, st.data())
def test_a_plan_that_is_stopped_anywhere_goes_on_as_the_same_plan(
    backups: list[Facts], policy: RetentionPolicy, data: st.DataObject
) -> None:
    plan = plan_retention(backups, policy, NOW)

    done = data.draw(st.sets(st.sampled_from(sorted(plan.goes))) if plan.goes else st.just(set()))
    marked = [replace(one, status=BackupStatus.EXPIRED) if one.id in done else one for one in backups]

    rest = plan_retention(marked, policy, NOW)
    assert rest.goes == {key: reason for key, reason in plan.goes.items() if key not in done}
    assert rest.stays == plan.stays


@given(
    st.lists(st.integers(0, 4000), min_size=10, max_size=40, unique=True),
    st.builds(RetentionPolicy, st.integers(1, 5), st.integers(0, 9), st.integers(0, 6), keep_verified=st.just(1)),
    st.integers(-24, 24 * 40),
)
def test_whatever_goes_is_never_the_newest_verified_one_of_a_span_that_is_kept(
    ages: list[int], policy: RetentionPolicy, ahead: int
) -> None:
    now = NOW + timedelta(hours=ahead)
    backups = [Facts(UUID(int=age), BackupStatus.VERIFIED, NOW - timedelta(hours=age)) for age in ages]

    plan = plan_retention(backups, policy, now)

    require_tiers(backups, plan, policy, now)


class Catalog(RuleBasedStateMachine):
    """A year of a catalog in which anything happens."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.rows: dict[UUID, Facts] = {}

    def _of(self, data: st.DataObject, *statuses: BackupStatus) -> Facts | None:
        wanted = [one for one in self.rows.values() if one.status in statuses]
        return data.draw(st.sampled_from(wanted)) if wanted else None

    def _put(self, one: Facts) -> None:
        self.rows[one.id] = one

    @rule(status=st.sampled_from([BackupStatus.STORED, BackupStatus.VERIFIED, BackupStatus.RUNNING]))
    def back_up(self, status: BackupStatus) -> None:
        """A backup is made, and perhaps proven at once."""
        self._put(Facts(UUID(int=len(self.rows)), status, self.now))

    @rule()
    def hear_of_another_tool(self) -> None:
        """A backup is reported."""
        self._put(Facts(UUID(int=len(self.rows)), BackupStatus.VERIFIED, self.now, tool="wal-g", stores=()))

    @rule(data=st.data())
    def verify(self, data: st.DataObject) -> None:
        """A backup is found whole."""
        if one := self._of(data, BackupStatus.STORED):
            self._put(replace(one, status=BackupStatus.VERIFIED))

    @rule(data=st.data())
    def damage(self, data: st.DataObject) -> None:
        """A backup is found damaged, or comes to nothing."""
        if one := self._of(data, BackupStatus.RUNNING, *USABLE):
            self._put(replace(one, status=BackupStatus.FAILED))

    @rule(data=st.data(), is_pinned=st.booleans())
    def pin(self, data: st.DataObject, is_pinned: bool) -> None:
        """Somebody pins a backup or takes the pin away."""
        if one := self._of(data, *USABLE, BackupStatus.FAILED):
            self._put(replace(one, is_pinned=is_pinned))

    @rule(days=st.one_of(st.integers(0, 10), st.integers(-400, 400)))
    def step(self, days: int) -> None:
        """Time goes on, or the clock jumps."""
        self.now += timedelta(days=days)

    @precondition(lambda self: self.rows)
    @rule(policy=POLICIES)
    def expire(self, policy: RetentionPolicy) -> None:
        """Retention is carried out; what must never go is still there."""
        before = list(self.rows.values())
        plan = plan_retention(before, policy, self.now)
        for key in plan.goes:
            assert not is_last_good(self.rows.values(), key)
            self._put(replace(self.rows[key], status=BackupStatus.EXPIRED))

        self._require_kept(before, plan, policy)
        assert plan_retention(self.rows.values(), policy, self.now).goes == {}

    def _require_kept(self, before: Sequence[Facts], plan: Plan, policy: RetentionPolicy) -> None:
        gone = [one for one in before if one.id in plan.goes]
        own = [one for one in before if one.tool == OWN_TOOL]
        verified = [one for one in own if one.status == BackupStatus.VERIFIED]
        usable = sorted((one for one in own if one.status in USABLE), key=lambda one: (one.created_at, one.id))

        assert not any(one.is_pinned or one.tool != OWN_TOOL for one in gone)
        assert not any(self.now - one.created_at <= timedelta(days=policy.days) for one in gone)
        assert len([one for one in verified if one not in gone]) >= min(len(verified), policy.keep_verified)
        assert verified or not any(one.status in USABLE for one in gone)
        assert not usable or usable[-1] not in gone
        require_tiers(before, plan, policy, self.now)


TestCatalog = Catalog.TestCase
