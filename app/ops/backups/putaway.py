"""Databases that were put away: what there is, and dropping one for good."""

from __future__ import annotations

from collections.abc import Sequence

from app.db.queries import swaps
from app.db.scratch import database_of
from app.domain.restores import PutAway, PutAwayNotFound
from app.ops.backups.swap import control_session


async def list_put_away(url: str) -> Sequence[PutAway]:
    """The databases that were put away for the one at this address, the last one first; without connecting to it."""
    async with control_session(url) as (control, _):
        return await swaps.read_put_away(control, database_of(url))


async def discard(url: str, name: str) -> None:
    """Drop one of them; raises PutAwayNotFound, RestoreUnderWay, and RestoreRefused while somebody is in it."""
    async with control_session(url) as (control, _):
        if name not in {one.name for one in await swaps.read_put_away(control, database_of(url))}:
            raise PutAwayNotFound
        await swaps.drop(control, name)
