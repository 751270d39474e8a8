"""Restores, as people ask for them: what may be restored, and what was put away for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.db import events
from app.db.queries import backups, swaps
from app.db.session import Session
from app.domain.backups import OWN_TOOL, USABLE, BackupStateConflict, BackupStatus
from app.domain.events import EventName
from app.domain.permissions import Principal
from app.domain.restores import BackupUnproven, PutAway, pick


async def require_restorable(tx: Session, backup_id: UUID, *, is_forced: bool) -> None:
    """Raise BackupNotFound, BackupStateConflict and BackupUnproven for a backup that no run should begin with."""
    backup = await backups.get_backup(tx, backup_id)
    if backup.tool != OWN_TOOL:
        raise BackupStateConflict(f"This backup is {backup.tool}'s, which restores it; the catalog only lists it.")
    if backup.status not in USABLE:
        raise BackupStateConflict(f"A backup that is {backup.status} can't be restored.")
    if backup.status != BackupStatus.VERIFIED and not is_forced:
        raise BackupUnproven("This backup was never restored on trial: verify it first, or restore it by force.")


async def list_put_away(tx: Session) -> Sequence[PutAway]:
    """The databases that restores have put away, the last one first."""
    return await swaps.list_put_away(tx)


async def get_put_away(tx: Session, name: str | None) -> PutAway:
    """The one of this name, or the last one; raises PutAwayNotFound."""
    return pick(await swaps.list_put_away(tx), name)


async def tell_discarded(tx: Session, caller: Principal, chosen: PutAway, *, now: datetime) -> None:
    """Record that a database that was put away is dropped."""
    data = {"since": chosen.story.since.isoformat(), "why": chosen.story.why, "bytes": chosen.bytes}
    await events.record(tx, caller, EventName.DATABASE_DISCARDED, chosen.name, now=now, data=data)
