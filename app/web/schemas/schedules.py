"""Schedules in JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from app.domain.maintenance import OPTIONS_BY_KIND, Options
from app.domain.runs import RunKind, RunStatus
from app.domain.schedules import MAX_CRON_LENGTH, MAX_SCHEDULES, NAME, MissedPolicy, require_schedulable
from app.domain.words import require_printable
from app.services.schedules import PutSchedule, ScheduleState
from app.web.schemas.backups import MakeBackup, VerifyBackup
from app.web.schemas.base import Out, OutMoment, Wish
from app.web.schemas.runs import MaintainTables, Prune, Reindex

OPTION_WISHES: Mapping[RunKind, type[Wish]] = {
    RunKind.VACUUM: MaintainTables,
    RunKind.ANALYZE: MaintainTables,
    RunKind.REINDEX: Reindex,
    RunKind.PRUNE: Prune,
    RunKind.BACKUP: MakeBackup,
    RunKind.VERIFY: VerifyBackup,
}
"""What the options of each kind of run are read with: the same as when it is asked for at once."""

ScheduleName = Annotated[str, StringConstraints(pattern=NAME)]
Cron = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_CRON_LENGTH),
    AfterValidator(require_printable),
]


class ScheduleTerms(Wish):
    """When to run what; what is left out stays as it is, and has its default in a new schedule."""

    kind: RunKind
    cron: Cron = Field(
        description="Minute, hour, day of month, month, day of week, in UTC; also names of days and months, `SUN#1` "
        "(the first Sunday) and `L` (the last day).",
        examples=["30 4 * * SUN"],
    )
    options: dict[str, Any] | None = Field(None, description="As in the body of `POST /admin/maintenance/{kind}`.")
    is_enabled: bool | None = None
    missed: MissedPolicy | None = Field(
        None, description="Slots at which no server was there: the latest is done late, or none is."
    )

    def wish(self, name: str, *place: str | int) -> PutSchedule:
        """The wish for the schedule of this name; raises RequestValidationError for wrong options at the place."""
        options = None if self.options is None else _read_options(self.kind, self.options, place)
        return PutSchedule(name, self.kind, self.cron, options, self.is_enabled, self.missed)


class NamedSchedule(ScheduleTerms):
    """One of several schedules."""

    name: ScheduleName


class PutSchedules(Wish):
    """Several schedules at once; those that are not named stay as they are."""

    items: Annotated[tuple[NamedSchedule, ...], Field(min_length=1, max_length=MAX_SCHEDULES)]

    def wishes(self) -> Sequence[PutSchedule]:
        """What is wanted, each schedule once; raises RequestValidationError otherwise."""
        names = [one.name for one in self.items]
        for position, name in enumerate(names):
            if name in names[:position]:
                _refuse("names a schedule twice", ("items", position, "name"), name)
        return [one.wish(one.name, "items", position) for position, one in enumerate(self.items)]


class LastRunOut(Out):
    """The newest run of a schedule."""

    id: UUID
    status: RunStatus | str
    requested_at: OutMoment


class ScheduleOut(Out):
    """A schedule; `nextRuns` are the slots it waits for, none while it is disabled or has a `problem`."""

    name: str
    kind: str
    cron: str
    options: Any
    is_enabled: bool
    missed: str
    next_runs: list[OutMoment]
    waiting_since: OutMoment | None
    last_run: LastRunOut | None
    problem: str | None
    created_at: OutMoment
    updated_at: OutMoment

    @classmethod
    def of(cls, state: ScheduleState) -> ScheduleOut:
        """The schedule as it is answered."""
        own = {"next_runs", "last_run", "problem"}
        plain = {name: getattr(state.schedule, name) for name in cls.model_fields if name not in own}
        last_run = None if state.last_run is None else LastRunOut.model_validate(state.last_run)
        return cls(**plain, next_runs=list(state.next_runs), last_run=last_run, problem=state.problem)


def _read_options(kind: RunKind, document: dict[str, Any], place: tuple[str | int, ...]) -> Options:
    require_schedulable(kind)
    try:
        wish = OPTION_WISHES[kind].model_validate(document)
    except ValidationError as error:
        found = [{**one, "loc": ("body", *place, "options", *one["loc"])} for one in error.errors()]
        raise RequestValidationError(found) from error
    return OPTIONS_BY_KIND[kind](**wish.model_dump())


def _refuse(sentence: str, place: tuple[str | int, ...], value: object) -> None:
    raise RequestValidationError([{"type": "value_error", "loc": ("body", *place), "msg": sentence, "input": value}])
