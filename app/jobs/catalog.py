"""The list of jobs: what the server does by itself, and how often."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from app.jobs import audit_chain
from app.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Job:
    """Work that every process does again and again; `run` lets only one of them do what only one may do.

    With `runs_at_the_end` it is done once more when the server stops.
    """

    name: str
    every: timedelta
    run: Callable[[Runtime], Awaitable[None]]
    runs_at_the_end: bool = False


JOBS: tuple[Job, ...] = (
    Job("seal_audit_events", timedelta(seconds=1), audit_chain.seal_audit_events, runs_at_the_end=True),
    Job("tell_audit_head", timedelta(hours=1), audit_chain.tell_audit_head, runs_at_the_end=True),
)
