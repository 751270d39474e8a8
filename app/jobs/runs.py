"""Jobs that do runs."""

from __future__ import annotations

from app.domain.runs import MutexGroup
from app.runner import bury_lost, do_queued
from app.runtime import Runtime


async def do_table_runs(runtime: Runtime) -> None:
    """Do the run on tables that waits, to its end; of its mutex group there is only one."""
    await do_queued(runtime, MutexGroup.TABLES)


async def do_backup_runs(runtime: Runtime) -> None:
    """Do the run about backups that waits, to its end; of its mutex group there is only one."""
    await do_queued(runtime, MutexGroup.BACKUPS)


async def bury_lost_runs(runtime: Runtime) -> None:
    """Declare runs lost whose owner is dead."""
    await bury_lost(runtime)
