"""Runs in JSON, and the wishes that start them."""

from __future__ import annotations

from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field

from app.db.models import Run
from app.domain.runs import RunKind, RunStatus, RunTrigger
from app.web.schemas.base import Out, OutMoment, Text, Wish

MAX_NAMES = 200

Names = Annotated[tuple[Text, ...], Field(max_length=MAX_NAMES)]


class MaintainTables(Wish):
    """Which tables, all when none is named; forced ones are done whatever the statistics say."""

    tables: Names = ()
    force: bool = False


class Reindex(Wish):
    """Which indexes, or those of which tables, all when none is named."""

    tables: Names = ()
    indexes: Names = ()
    force: bool = False


class Prune(Wish):
    """A dry run tells what would go, and touches nothing."""

    dry_run: bool = False


class ProgressOut(Out):
    """How far a run is; percents are from 0 to 100, `objectName` is the table or index at work."""

    percent: float
    phase: str
    object_name: str | None
    object_percent: float | None
    objects_done: int
    objects_total: int


class AskerOut(Out):
    """Who asked for a run: the kind of credential, and the user's or API key's id."""

    kind: str
    id: UUID | None


class ListedRunOut(Out):
    """A run in a list, without its result, which can be long; a newer release may know more kinds and statuses."""

    id: UUID
    kind: RunKind | str
    status: RunStatus | str
    options: dict[str, Any]
    trigger: RunTrigger | str
    schedule: str | None
    slot_at: OutMoment | None
    requested_by: AskerOut
    requested_at: OutMoment
    started_at: OutMoment | None
    finished_at: OutMoment | None
    cancel_requested_at: OutMoment | None
    progress: ProgressOut
    warnings: list[str]
    failure: str | None

    @classmethod
    def of(cls, run: Run) -> Self:
        """The run as it is answered."""
        plain = {name: getattr(run, name) for name in cls.model_fields if name not in ("requested_by", "progress")}
        asker = AskerOut(kind=run.requested_by_kind, id=run.requested_by_id)
        return cls(**plain, requested_by=asker, progress=ProgressOut.model_validate(run.progress))


class RunOut(ListedRunOut):
    """A run: what, by whom, how far, and what came of it."""

    result: dict[str, Any] | None
