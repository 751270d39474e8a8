"""Schedules: which runs are wanted when."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Model, one_of
from app.domain.runs import RunKind
from app.domain.schedules import MissedPolicy


class Schedule(Model):
    """A kind of run that is wanted again and again, at the moments of a cron expression in UTC.

    `next_run_at` is the slot it waits for since `planned_at`, None until somebody has looked, and while it is disabled.
    `waiting_since` is when a slot that has come first met a run that excludes its own.
    """

    __tablename__ = "schedules"

    name: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    cron: Mapped[str]
    options: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    is_enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    missed: Mapped[str] = mapped_column(server_default=MissedPolicy.RUN_ONCE)
    next_run_at: Mapped[datetime | None]
    planned_at: Mapped[datetime | None]
    waiting_since: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (one_of("kind", RunKind), one_of("missed", MissedPolicy))
