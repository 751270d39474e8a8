"""Jobs that keep security events: stored every two seconds, forgotten after ninety days."""

from __future__ import annotations

from app.domain.security import EVENTS_KEPT
from app.jobs.tallies import forget_old, store_tally
from app.ops import security_events
from app.runtime import Runtime


async def store_security_events(runtime: Runtime) -> None:
    """Store what this process has counted; what can't be stored now is counted again."""
    await store_tally(runtime, runtime.security_tally, security_events.store)


async def forget_old_security_events(runtime: Runtime) -> None:
    """Delete what is older than ninety days."""
    await forget_old(runtime, "security events", runtime.now() - EVENTS_KEPT, security_events.forget)
