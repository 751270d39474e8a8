"""Legal holds in JSON."""

from __future__ import annotations

from uuid import UUID

from app.web.schemas.base import LongText, Out, OutMoment, Wish


class PlaceLegalHold(Wish):
    """Keep the evidence of an organization; null or left out means the whole installation."""

    organization_id: UUID | None = None
    reason: LongText


class LegalHoldOut(Out):
    """A legal hold; in force until `releasedAt`."""

    id: UUID
    organization_id: UUID | None
    reason: str
    placed_at: OutMoment
    released_at: OutMoment | None
