"""The list of jobs: what the server does by itself, and how often."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from app.jobs.audit_chain import seal_audit_events, tell_audit_head
from app.jobs.backups import sweep_scratch_databases
from app.jobs.error_groups import forget_old_errors, store_errors
from app.jobs.mail import send_mail
from app.jobs.partitions import make_partitions
from app.jobs.runs import bury_lost_runs, do_backup_runs, do_table_runs
from app.jobs.samples import take_samples
from app.jobs.schedules import start_scheduled_runs
from app.jobs.security_events import forget_old_security_events, store_security_events
from app.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Job:
    """Work that every process does again and again; `run` lets only one of them do what only one may do.

    Those that are `is_done_at_start` do not wait for their first turn; those that are `is_done_at_stop` are done once
    more when the server stops.
    """

    name: str
    every: timedelta
    run: Callable[[Runtime], Awaitable[None]]
    is_done_at_stop: bool = False
    is_done_at_start: bool = False


JOBS: tuple[Job, ...] = (
    Job("seal_audit_events", timedelta(seconds=1), seal_audit_events, is_done_at_stop=True),
    Job("tell_audit_head", timedelta(hours=1), tell_audit_head, is_done_at_stop=True),
    Job("store_security_events", timedelta(seconds=2), store_security_events, is_done_at_stop=True),
    Job("forget_old_security_events", timedelta(hours=1), forget_old_security_events),
    Job("make_partitions", timedelta(hours=1), make_partitions, is_done_at_start=True),
    Job("store_errors", timedelta(seconds=2), store_errors, is_done_at_stop=True),
    Job("forget_old_errors", timedelta(hours=1), forget_old_errors),
    Job("take_samples", timedelta(minutes=1), take_samples),
    Job("send_mail", timedelta(seconds=2), send_mail),
    Job("start_scheduled_runs", timedelta(seconds=5), start_scheduled_runs),
    Job("do_table_runs", timedelta(seconds=1), do_table_runs),
    Job("do_backup_runs", timedelta(seconds=1), do_backup_runs),
    Job("bury_lost_runs", timedelta(seconds=1), bury_lost_runs),
    Job("sweep_scratch_databases", timedelta(hours=1), sweep_scratch_databases, is_done_at_start=True),
)
