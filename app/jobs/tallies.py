"""What jobs over things counted in memory have in common: storing what was counted, and forgetting what is old."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sized
from datetime import datetime
from typing import Protocol, TypeVar

from app.db.locks import try_lock_name
from app.db.session import Session
from app.runtime import Runtime

FORGOTTEN_AT_ONCE = 5_000
MAX_BATCHES = 200

Counts = TypeVar("Counts", bound=Sized)


class Tally(Protocol[Counts]):
    """Counts in memory, until somebody takes them."""

    def take(self) -> Counts:
        """Everything counted since the last time; it is the taker's now."""
        ...

    def give_back(self, counts: Counts) -> None:
        """Count again what could not be stored."""
        ...


class Forget(Protocol):
    """Deletes up to so many rows that are older; how many they were."""

    def __call__(self, tx: Session, before: datetime, *, limit: int) -> Awaitable[int]: ...


async def store_tally(
    runtime: Runtime, tally: Tally[Counts], store: Callable[[Session, Counts], Awaitable[None]]
) -> None:
    """Store what this process has counted; what can't be stored now is counted again."""
    counts = tally.take()
    if not counts:
        return
    try:
        async with runtime.database.transaction() as tx:
            await store(tx, counts)
    except BaseException:
        tally.give_back(counts)
        raise


async def forget_old(runtime: Runtime, what: str, before: datetime, forget: Forget) -> None:
    """Delete what is older, batch by batch, each in a transaction of its own, unless another process is at it."""
    for _ in range(MAX_BATCHES):
        async with runtime.database.transaction() as tx:
            if not await try_lock_name(tx, f"forget old {what}"):
                return
            if await forget(tx, before, limit=FORGOTTEN_AT_ONCE) < FORGOTTEN_AT_ONCE:
                return
