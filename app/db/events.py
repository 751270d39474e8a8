"""News: what was changed, recorded in the same transaction as the change."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from app.db.models import AuditEvent
from app.db.session import Session
from app.domain.events import EventName
from app.domain.permissions import Principal


async def record(
    tx: Session,
    caller: Principal,
    event: EventName,
    subject_id: UUID | str,
    *,
    organization_id: UUID | None = None,
    now: datetime,
    data: dict[str, Any] | None = None,
) -> AuditEvent:
    """Append to the audit trail: who did what to which thing, from where, in which request."""
    recorded = AuditEvent(
        occurred_at=now,
        event=event,
        subject_id=str(subject_id),
        organization_id=organization_id,
        actor_kind=caller.kind,
        actor_id=caller.id,
        ip=caller.ip,
        request_id=caller.request_id,
        data=data or {},
    )
    tx.add(recorded)
    await tx.flush()
    return recorded
