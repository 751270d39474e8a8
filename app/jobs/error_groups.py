"""Jobs that keep errors: stored every two seconds, forgotten after ninety days."""

from __future__ import annotations

from app.domain.error_groups import ERRORS_KEPT
from app.jobs.tallies import forget_old, store_tally
from app.ops import error_groups
from app.runtime import Runtime


async def store_errors(runtime: Runtime) -> None:
    """Store what this process has counted; what can't be stored now is counted again."""
    await store_tally(runtime, runtime.error_tally, error_groups.store)


async def forget_old_errors(runtime: Runtime) -> None:
    """Delete what is older than ninety days."""
    await forget_old(runtime, "errors", runtime.now() - ERRORS_KEPT, error_groups.forget)
