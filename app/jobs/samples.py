"""The job that takes the samples of each day."""

from __future__ import annotations

from app.db.locks import try_lock_name
from app.ops import samples
from app.runtime import Runtime


async def take_samples(runtime: Runtime) -> None:
    """Take the samples of the day unless somebody has; it is asked every minute, so a short outage costs no day."""
    async with runtime.database.transaction() as tx:
        if await try_lock_name(tx, "take samples"):
            await samples.take(tx, runtime.now().date())
