"""An organization's part of the audit trail over HTTP."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from app.domain.audit_events import AuditFilter
from app.domain.events import EventName
from app.domain.permissions import Principal
from app.services import audit_events
from app.telemetry import security_log
from app.telemetry.security_log import SecurityEvent
from app.web.deps import Transaction, WantedPage
from app.web.json_body import JsonRoute
from app.web.schemas.audit_events import AuditEventOut
from app.web.schemas.base import Moment, PageOut, Text
from app.web.security import CanReadAudit

router = APIRouter(prefix="/api/audit-events", tags=["audit trail"], route_class=JsonRoute)

Event = Annotated[EventName | None, Query(description="Only events of this name.")]
ActorId = Annotated[UUID | None, Query(description="Only what this user or API key did.")]
SubjectId = Annotated[Text | None, Query(description="Only what was done to the thing with this id.")]
Since = Annotated[Moment | None, Query(description="From this moment on.")]
Until = Annotated[Moment | None, Query(description="Before this moment.")]


@router.get("")
async def list_own_audit_events(
    caller: CanReadAudit,
    tx: Transaction,
    page: WantedPage,
    event: Event = None,
    actor_id: Annotated[ActorId, Query(alias="actorId")] = None,
    subject_id: Annotated[SubjectId, Query(alias="subjectId")] = None,
    since: Since = None,
    until: Until = None,
) -> PageOut[AuditEventOut]:
    """List what was done in the caller's organization, newest first."""
    wanted = AuditFilter(event, actor_id, subject_id, since=since, until=until)
    found = await audit_events.list_page(tx, caller, wanted, page)
    tell_of_reading(caller)
    items = [AuditEventOut.model_validate(one) for one in found.items]
    return PageOut[AuditEventOut](items=items, next_cursor=found.next_cursor)


def tell_of_reading(caller: Principal) -> None:
    """Who reads the trail is itself of interest."""
    security_log.record(
        SecurityEvent.SENSITIVE_READ,
        "Audit trail was read",
        caller_kind=caller.kind,
        caller_id=caller.id,
        ip=caller.ip,
    )
