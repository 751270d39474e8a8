"""Sessions: which ones a person has open, and ending them at once."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from app.db import events
from app.db.models import LoginSession, User
from app.db.queries import sessions, users
from app.db.session import Session
from app.domain.errors import SessionNotFound
from app.domain.events import EventName
from app.domain.pages import Page, PageRequest, cut_page
from app.domain.permissions import Principal, Role
from app.domain.users import require_power_over


async def list_page(
    tx: Session, caller: Principal, user_id: UUID, page: PageRequest, *, now: datetime
) -> Page[LoginSession]:
    """The sessions of a user that go on, newest first; a stranger is UserNotFound."""
    user = await users.get_user(tx, caller.organization_id, user_id)
    before = page.position(UUID)
    found = await sessions.list_sessions(tx, user.id, now, before=before, limit=page.limit + 1)
    return cut_page(found, page.limit, lambda session: session.id)


async def revoke(tx: Session, caller: Principal, user_id: UUID, session_id: UUID, *, now: datetime) -> None:
    """End one session of a user at once; one that has ended is SessionNotFound."""
    user = await users.get_user(tx, caller.organization_id, user_id)
    session = await sessions.lock_session_of(tx, user.id, session_id)
    if session is None or session.revoked_at is not None:
        raise SessionNotFound

    session.revoked_at = now

    await _record(tx, caller, user, now, {"session": str(session_id)})


async def revoke_others(tx: Session, caller: Principal, user_id: UUID, kept_id: UUID, *, now: datetime) -> None:
    """End all sessions of a user but this one at once."""
    user = await users.get_user(tx, caller.organization_id, user_id)

    await sessions.revoke_sessions_of(tx, user.id, now, kept_id=kept_id)

    await _record(tx, caller, user, now, {"session": "all others"})


async def revoke_all(tx: Session, caller: Principal, user_id: UUID, *, now: datetime) -> None:
    """End all sessions of a user at once; a stranger is UserNotFound; raises Denied."""
    user = await users.get_user(tx, caller.organization_id, user_id)
    require_power_over(caller, Role(user.role))

    await sessions.revoke_sessions_of(tx, user.id, now)

    await _record(tx, caller, user, now, {"session": "all"})


async def _record(tx: Session, caller: Principal, user: User, now: datetime, data: dict[str, str]) -> None:
    await events.record(
        tx, caller, EventName.SESSION_REVOKED, user.id, organization_id=user.organization_id, now=now, data=data
    )
