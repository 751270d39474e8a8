"""Work that needs a lock which everybody waits for: in moments, again and again, so that validations go on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from psycopg import errors as pg
from psycopg import sql

from app.db.direct import DirectConnection
from app.domain.retention import NotOwner, TableBusy

ATTEMPTS = 40
WAIT_SECONDS = 0.1
"""Whoever comes while we wait for a lock waits behind us; a validation has 1.5 s."""
PAUSE_SECONDS = 0.3

Result = TypeVar("Result")

_IMPATIENTLY = sql.SQL("SELECT set_config('lock_timeout', %s, true)")


async def briefly(
    direct: DirectConnection, work: Callable[[], Awaitable[Result]], *, attempts: int = ATTEMPTS
) -> Result:
    """Do work in a transaction (within another one: a savepoint) that waits 0.1 s for each lock, until it got them all.

    Raises TableBusy when it never did, and NotOwner; nothing was done then.
    """
    for attempt in range(attempts):
        if attempt:
            await asyncio.sleep(PAUSE_SECONDS)
        try:
            with refusals():
                async with direct.connection.transaction():
                    await direct.execute(_IMPATIENTLY, [f"{round(WAIT_SECONDS * 1000)}ms"])
                    return await work()
        except (pg.LockNotAvailable, pg.DeadlockDetected):
            """Others go first; their locks are short."""
    raise TableBusy(f"Others used the table all the time; {attempts} attempts to get a lock were made.")


@contextmanager
def refusals() -> Iterator[None]:
    """Raise NotOwner where the database says that this role may not."""
    try:
        yield
    except pg.InsufficientPrivilege as error:
        reason = error.diag.message_primary or "permission denied"
        raise NotOwner(
            f"The database refused it: {reason}. Set DATABASE_DIRECT_URL to the role that owns the tables."
        ) from error
