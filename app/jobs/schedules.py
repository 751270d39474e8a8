"""The job that starts what schedules want."""

from __future__ import annotations

from app.runtime import Runtime
from app.scheduling import start_due


async def start_scheduled_runs(runtime: Runtime) -> None:
    """Start what is due, unless somebody else is told to do so: the host's cron, say."""
    if runtime.settings.schedules_enabled:
        await start_due(runtime)
