"""Runs: long work that was asked for."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Model, new_id, one_of
from app.domain.runs import MutexGroup, RunKind, RunStatus, RunTrigger


class Run(Model):
    """Long work that was asked for; of each mutex group one is under way, and of each slot of a schedule one exists.

    While it runs its owner holds an advisory lock (`lock_name_of`) in a session of its own: lock free, owner dead.
    """

    __tablename__ = "runs"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[str]
    mutex_group: Mapped[str]
    status: Mapped[str]
    options: Mapped[dict[str, Any]]
    trigger: Mapped[str]
    schedule: Mapped[str | None]
    slot_at: Mapped[datetime | None]
    requested_by_kind: Mapped[str]
    requested_by_id: Mapped[UUID | None]
    requested_at: Mapped[datetime]
    owner: Mapped[str | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    cancel_requested_at: Mapped[datetime | None]
    progress: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    result: Mapped[dict[str, Any] | None]
    warnings: Mapped[list[str]] = mapped_column(server_default=text("'{}'::text[]"))
    failure: Mapped[str | None]

    __table_args__ = (
        Index(
            "uq_runs_mutex_group_under_way",
            "mutex_group",
            unique=True,
            postgresql_where=text("status IN ('queued', 'running')"),
        ),
        Index(
            "uq_runs_schedule_slot_at", "schedule", "slot_at", unique=True, postgresql_where=text("slot_at IS NOT NULL")
        ),
        Index("ix_runs_kind_id", "kind", "id"),
        Index("ix_runs_schedule_id", "schedule", "id", postgresql_where=text("schedule IS NOT NULL")),
        one_of("kind", RunKind),
        one_of("mutex_group", MutexGroup),
        one_of("status", RunStatus),
        one_of("trigger", RunTrigger),
    )
