"""Swap: in one transaction the live database is put away and another one gets its name, whoever is connected."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from app.db.direct import DirectConnection, direct_connection
from app.db.queries import swaps
from app.db.scratch import COMMON_DATABASES, address_of, database_of
from app.db.workbench import Workbench
from app.domain.errors import DatabaseUnavailable
from app.domain.restores import RestoreRefused, RestoreUnderWay, Story, Why, put_away_name
from app.domain.runs import Outcome, lock_name_of

TERMINATE_PAUSE_SECONDS = 0.02
RETURN_SECONDS = 5.0
RETURN_PAUSE_SECONDS = 0.1

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Exchange:
    """Which database gets the name of the live one, and under which name that is put away, if there is one."""

    live: str
    incoming: str
    away: str | None
    story: Story


@asynccontextmanager
async def control_session(url: str) -> AsyncIterator[tuple[DirectConnection, str]]:
    """A session in a third database, and its address, meanwhile; raises RestoreUnderWay when another one restores."""
    live = database_of(url)
    name = await _find_control(url, live)
    control_url = address_of(url, name)
    async with direct_connection(control_url) as control:
        if not await control.try_hold(f"restore of {live}"):
            raise RestoreUnderWay
        yield control, control_url


async def require_rights(control: DirectConnection, live: str) -> None:
    """Raise RestoreRefused, with the SQL that mends it, where our role could not exchange the databases."""
    rights = await swaps.read_rights(control, live)
    missing = []
    if not rights.may_create:
        missing.append(f"it may not create databases (ALTER ROLE {rights.role} CREATEDB;)")
    if not rights.is_owner:
        missing.append(f'it does not own the database (ALTER DATABASE "{live}" OWNER TO {rights.role};)')
    if rights.untouchable:
        names = ", ".join(rights.untouchable)
        missing.append(f"it may not end the sessions of {names} (GRANT pg_signal_backend TO {rights.role};)")
    if missing:
        raise RestoreRefused(
            f"The role {rights.role} of DATABASE_DIRECT_URL can't put another database in place of {live}:"
            f" {'; '.join(missing)}. A superuser mends that with the SQL in brackets or deploy/postgres/roles.sql."
        )
    if rights.prepared:
        raise RestoreRefused(f"{live} has {rights.prepared} prepared transactions: commit them, or roll them back.")


async def find_name(control: DirectConnection, live: str, why: Why, now: datetime) -> str | None:
    """Under which name the live database can be put away; None when there is none."""
    if not await swaps.has_database(control, live):
        return None
    while await swaps.has_database(control, name := put_away_name(live, why, now)):
        now += timedelta(seconds=1)
    return name


async def exchange(bench: Workbench, control: DirectConnection, control_url: str, wanted: Exchange) -> float:
    """Do it, and give the seconds that it took; raises SwapFailed when nothing has changed.

    Once begun it is not broken off, so that its outcome is known. The session of the run, which holds the run's lock,
    ends with all others of the live database; it goes on in the new one.
    """
    held = bench.direct.connection
    is_in_live = held.info.dbname == wanted.live
    bench.direct.connection = control.connection
    began_at = time.monotonic()
    try:
        await to_its_end(_exchange(control, control_url, wanted))
        return time.monotonic() - began_at
    finally:
        if is_in_live:
            await to_its_end(_hold_again(bench, wanted.live))
            await held.close()
        else:
            bench.direct.connection = held


@contextmanager
def past_return(ended: Sequence[Outcome]) -> Iterator[None]:
    """Once there is an outcome, what is left to be closed may fail or be broken off: the databases are exchanged."""
    try:
        yield
    except (asyncio.CancelledError, DatabaseUnavailable):
        if not ended:
            raise


async def to_its_end(work: Awaitable[Result]) -> Result:
    """What short work gives, which goes on when we are told to stop."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait({task})
    return task.result()


async def _exchange(control: DirectConnection, control_url: str, wanted: Exchange) -> None:
    renaming = asyncio.create_task(swaps.swap(control, wanted.live, wanted.incoming, wanted.away, wanted.story))
    try:
        async with direct_connection(control_url) as other:
            while not renaming.done():
                for name in (wanted.live, wanted.incoming):
                    await swaps.terminate_sessions(other, name)
                await asyncio.wait({renaming}, timeout=TERMINATE_PAUSE_SECONDS)
    finally:
        await asyncio.wait({renaming})
    try:
        renaming.result()
    except DatabaseUnavailable:
        if not await _has_happened(control_url, wanted):
            raise


async def _has_happened(control_url: str, wanted: Exchange) -> bool:
    """When the answer to the commit was lost: whether the new one has its name."""
    async with direct_connection(control_url) as fresh:
        return not await swaps.has_database(fresh, wanted.incoming)


async def _hold_again(bench: Workbench, live: str) -> None:
    """Go on in the database that is live now, holding the run's lock; without it the run ends before anybody asks."""
    deadline = time.monotonic() + RETURN_SECONDS
    while time.monotonic() < deadline:
        with suppress(DatabaseUnavailable):
            await bench.direct.move(address_of(bench.direct_url, live))
            await bench.direct.try_hold(lock_name_of(bench.run_id))
            return
        await asyncio.sleep(RETURN_PAUSE_SECONDS)


async def _find_control(url: str, live: str) -> str:
    for name in COMMON_DATABASES:
        if name == live:
            continue
        with suppress(DatabaseUnavailable):
            async with direct_connection(address_of(url, name)):
                return name
    raise RestoreRefused(
        f"There is no third database to work from: the role of DATABASE_DIRECT_URL must be able to connect to"
        f" {' or '.join(COMMON_DATABASES)} (GRANT CONNECT ON DATABASE postgres TO it)."
    )
