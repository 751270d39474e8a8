"""Schedules for tests that want only their own."""

from __future__ import annotations

from app.domain.fitness import USUAL_SCHEDULES
from app.domain.permissions import COMMAND_LINE
from app.runtime import Runtime
from app.services import schedules


async def delete_first_schedules(runtime: Runtime) -> None:
    """Take away the schedules that every installation begins with."""
    for name, _ in USUAL_SCHEDULES.values():
        async with runtime.database.transaction() as tx:
            await schedules.delete(tx, COMMAND_LINE, name, now=runtime.now())
