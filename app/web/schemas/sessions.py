"""Sessions in JSON."""

from __future__ import annotations

from uuid import UUID

from pydantic import IPvAnyAddress

from app.web.schemas.base import Out, OutMoment


class SessionOut(Out):
    """A login that goes on; `userAgent` is what the client called itself then."""

    id: UUID
    created_at: OutMoment
    last_used_at: OutMoment | None
    expires_at: OutMoment
    ip: IPvAnyAddress | None
    user_agent: str | None


class OwnSessionOut(SessionOut):
    """One of the caller's own logins."""

    is_current: bool
