"""Sessions over HTTP: one's own, and for administrators those of the users they look after."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from app.db.models import LoginSession
from app.services import sessions
from app.web.deps import Now, Transaction, WantedPage
from app.web.json_body import JsonRoute
from app.web.schemas.base import PageOut
from app.web.schemas.sessions import OwnSessionOut, SessionOut
from app.web.security import CanReadUsers, CanWriteUsers, ProvenPerson

router = APIRouter(prefix="/api", tags=["sessions"], route_class=JsonRoute)


@router.get("/auth/sessions")
async def list_own_sessions(
    person: ProvenPerson, tx: Transaction, now: Now, page: WantedPage
) -> PageOut[OwnSessionOut]:
    """List one's own sessions that go on, newest first."""
    found = await sessions.list_page(tx, person.caller, person.user_id, page, now=now)
    items = [_own(session, person.session_id) for session in found.items]
    return PageOut[OwnSessionOut](items=items, next_cursor=found.next_cursor)


@router.delete("/auth/sessions", status_code=204)
async def revoke_other_sessions(person: ProvenPerson, tx: Transaction, now: Now) -> None:
    """End all of one's own sessions but this one at once."""
    await sessions.revoke_others(tx, person.caller, person.user_id, person.session_id, now=now)


@router.delete("/auth/sessions/{session_id}", status_code=204)
async def revoke_own_session(person: ProvenPerson, tx: Transaction, now: Now, session_id: UUID) -> None:
    """End one of one's own sessions at once."""
    await sessions.revoke(tx, person.caller, person.user_id, session_id, now=now)


@router.get("/users/{user_id}/sessions")
async def list_sessions(
    caller: CanReadUsers, tx: Transaction, now: Now, page: WantedPage, user_id: UUID
) -> PageOut[SessionOut]:
    """List a user's sessions that go on, newest first."""
    found = await sessions.list_page(tx, caller, user_id, page, now=now)
    items = [SessionOut.model_validate(session) for session in found.items]
    return PageOut[SessionOut](items=items, next_cursor=found.next_cursor)


@router.delete("/users/{user_id}/sessions", status_code=204)
async def revoke_sessions(caller: CanWriteUsers, tx: Transaction, now: Now, user_id: UUID) -> None:
    """End all sessions of a user at once."""
    await sessions.revoke_all(tx, caller, user_id, now=now)


def _own(session: LoginSession, current_id: UUID) -> OwnSessionOut:
    shown = SessionOut.model_validate(session).model_dump()
    return OwnSessionOut(**shown, is_current=session.id == current_id)
