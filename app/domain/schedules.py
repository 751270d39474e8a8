"""Schedules: the moments in UTC at which they want a run, and what becomes of those that were missed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice, pairwise
from typing import Any

from cronsim import CronSim, CronSimError

from app.domain.errors import Conflict, FieldError, Invalid, NotFound
from app.domain.maintenance import SCHEDULABLE, Options, read_options, write_options
from app.domain.runs import RunKind

NAME = r"^[a-z0-9][a-z0-9\-]{0,49}$"
MAX_SCHEDULES = 100
MAX_CRON_LENGTH = 100
SHOWN_SLOTS = 3

SHORTEST_PAUSE = timedelta(minutes=5)
"""Slots of one schedule are at least so far apart."""
GRACE = timedelta(minutes=15)
"""A slot that is older was missed; whoever restarts a server is quicker."""
LONGEST_WAIT = timedelta(hours=1)
"""A slot waits so long for a run that excludes its own."""
PUT_OFF = timedelta(hours=1)
"""A schedule whose moments can't be read is looked at again after so long."""

_SOME_DAY = datetime(2000, 1, 1, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)
_MINUTES_A_DAY = 24 * 60
_FORM = "write five fields: minute, hour, day of month, month, day of week, such as 30 4 * * SUN; times are UTC"


class ScheduleNotFound(NotFound):
    """There is no schedule with this name."""

    code = "SCHEDULE_NOT_FOUND"


class InvalidCron(Invalid):
    """The moments of a schedule can't be read, never come, or come too often; write five fields of cron, in UTC."""

    code = "INVALID_CRON"

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, errors=(FieldError("cron", sentence),))


class NotSchedulable(Invalid):
    """This kind of run needs a person who asks for it."""

    code = "NOT_SCHEDULABLE"

    def __init__(self, kind: RunKind) -> None:
        sentence = f"A {kind} needs a person who asks for it; schedules do {', '.join(sorted(SCHEDULABLE))}."
        super().__init__(sentence, errors=(FieldError("kind", sentence),))


class ScheduleBroken(Conflict):
    """The schedule can't be read as it stands in the database; set it anew, or delete it."""

    code = "SCHEDULE_BROKEN"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"The schedule {name} can't be read: {reason}; set it anew, or delete it.")


class TooManySchedules(Conflict):
    """There are as many schedules as there may be; delete one first."""

    code = "TOO_MANY_SCHEDULES"


class MissedPolicy(StrEnum):
    """What becomes of slots at which nobody was there: the latest is done late, or none of them is done."""

    RUN_ONCE = "run_once"
    SKIP = "skip"


def require_cron(text: str) -> str:
    """The expression with single blanks; raises InvalidCron when it can't be read, never comes or comes too often."""
    cron = " ".join(text.split())
    if len(cron) > MAX_CRON_LENGTH or len(cron.split()) != 5:
        raise InvalidCron(f"A cron expression has five fields and at most {MAX_CRON_LENGTH} characters; {_FORM}.")
    try:
        parsed = CronSim(cron, _SOME_DAY)
        next(parsed)
    except CronSimError as error:
        raise InvalidCron(f"'{cron}' can't be read ({_reason(error)}); {_FORM}.") from error
    except StopIteration as error:
        raise InvalidCron(f"'{cron}' never comes; choose a day that there is.") from error
    if _shortest_pause(parsed) < SHORTEST_PAUSE:
        minutes = SHORTEST_PAUSE // _MINUTE
        raise InvalidCron(f"'{cron}' comes more often than every {minutes} minutes; let it come less often.")
    return cron


def require_schedulable(kind: RunKind) -> None:
    """Raise NotSchedulable for what only a person may start."""
    if kind not in SCHEDULABLE:
        raise NotSchedulable(kind)


def next_slots(cron: str, after: datetime, count: int) -> list[datetime]:
    """The first slots after this moment."""
    return list(islice(CronSim(cron, after.astimezone(UTC)), count))


def next_slot(cron: str, after: datetime) -> datetime:
    """The first slot after this moment."""
    return next(CronSim(cron, after.astimezone(UTC)))


def due_slot(cron: str, next_run_at: datetime, now: datetime) -> datetime:
    """The slot that a schedule wants now, out of all since the one it waits for: the latest."""
    this_minute = now.astimezone(UTC).replace(second=0, microsecond=0)
    latest = next(CronSim(cron, this_minute + _MINUTE, reverse=True))
    return max(latest, next_run_at)


def needs_look(next_run_at: datetime | None, planned_at: datetime | None, now: datetime) -> bool:
    """Whether a schedule has to be planned, wants a run, or was planned by a clock that is ahead of this one."""
    return next_run_at is None or next_run_at <= now or (planned_at is not None and planned_at > now)


def reason_to_skip(
    missed: MissedPolicy, slot_at: datetime, waiting_since: datetime | None, now: datetime
) -> str | None:
    """Why a slot that has come is not done any more, or None; one that waits for its turn was not missed."""
    if missed is MissedPolicy.RUN_ONCE:
        return None
    if waiting_since is not None:
        return tell_waited() if has_waited_enough(waiting_since, now) else None
    if now - slot_at <= GRACE:
        return None
    minutes = GRACE // _MINUTE
    return f"Missed: nobody was there to start it within {minutes} minutes, and this schedule skips what it missed."


def has_waited_enough(waiting_since: datetime, now: datetime) -> bool:
    """Whether a slot that waits for its turn waits no longer; after a clock was set back it begins anew."""
    return not timedelta() <= now - waiting_since < LONGEST_WAIT


def tell_waited() -> str:
    """Why a slot that had to wait is not done any more."""
    return f"Its turn did not come within {LONGEST_WAIT // _MINUTE} minutes: another run was under way."


def read_terms(name: str, kind: str, cron: str, options: Any, missed: str) -> tuple[RunKind, Options]:
    """What a schedule wants; raises ScheduleBroken where the database holds what this release can't have set."""
    try:
        require_cron(cron)
    except InvalidCron as error:
        raise ScheduleBroken(name, "its cron expression is wrong") from error
    known = next((one for one in SCHEDULABLE if one == kind), None)
    if known is None:
        raise ScheduleBroken(name, "its kind is unknown")
    if not has_options(known, options):
        raise ScheduleBroken(name, f"its options are none of {kind}")
    if missed not in set(MissedPolicy):
        raise ScheduleBroken(name, "what becomes of missed slots is unknown")
    return known, read_options(known, options)


def has_options(kind: RunKind, document: object) -> bool:
    """Whether these are options of this kind of run, each with a value of the right type."""
    if not isinstance(document, Mapping):
        return False
    defaults = write_options(read_options(kind, {}))
    return all(member in defaults and _is_like(value, defaults[member]) for member, value in document.items())


def _is_like(value: object, default: object) -> bool:
    if isinstance(default, list):
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    return type(value) is type(default)


def _shortest_pause(parsed: CronSim) -> timedelta:
    """Between two slots of a day, or the last of one day and the first of the next."""
    minutes = sorted(hour * 60 + minute for hour in parsed.hours for minute in parsed.minutes)
    overnight = minutes[0] + _MINUTES_A_DAY
    return timedelta(minutes=min(later - earlier for earlier, later in pairwise([*minutes, overnight])))


def _reason(error: CronSimError) -> str:
    return str(error).lower().replace("-", " ")
