"""The list of jobs: what the server does by itself, and how often."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from app.jobs.mail import send_mail
from app.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Job:
    """Work that every process does again and again; `run` lets only one of them do what only one may do."""

    name: str
    every: timedelta
    run: Callable[[Runtime], Awaitable[None]]


JOBS: tuple[Job, ...] = (Job("send_mail", timedelta(seconds=2), send_mail),)
