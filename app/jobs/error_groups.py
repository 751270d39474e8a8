"""Jobs that keep errors: stored every two seconds, forgotten after ninety days."""

from __future__ import annotations

from app.db.locks import try_lock_name
from app.domain.error_groups import ERRORS_KEPT
from app.ops import error_groups
from app.runtime import Runtime

FORGOTTEN_AT_ONCE = 5_000
MAX_BATCHES = 200


async def store_errors(runtime: Runtime) -> None:
    """Store what this process has counted; what can't be stored now is counted again."""
    counts = runtime.error_tally.take()
    if not counts:
        return
    try:
        async with runtime.database.transaction() as tx:
            await error_groups.store(tx, counts)
    except BaseException:
        runtime.error_tally.give_back(counts)
        raise


async def forget_old_errors(runtime: Runtime) -> None:
    """Delete what is older than ninety days, batch by batch, each in a transaction of its own."""
    before = runtime.now() - ERRORS_KEPT
    for _ in range(MAX_BATCHES):
        async with runtime.database.transaction() as tx:
            if not await try_lock_name(tx, "forget old errors"):
                return
            if await error_groups.forget(tx, before, limit=FORGOTTEN_AT_ONCE) < FORGOTTEN_AT_ONCE:
                return
