"""The whole audit trail over HTTP, for operators."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import IPvAnyAddress

from app.domain.audit_events import AuditFilter, ExportFormat, export_head, export_lines
from app.domain.permissions import Principal
from app.services import audit_events
from app.web.api.audit_events import ActorId, Event, Since, SubjectId, Until, tell_of_reading
from app.web.deps import Now, Runtime, Transaction, WantedPage
from app.web.json_body import JsonRoute
from app.web.schemas.audit_events import AuditEventOut
from app.web.schemas.base import PageOut, Text
from app.web.security import Administration, CanReadWholeAudit

router = APIRouter(
    prefix="/admin/audit-events", tags=["audit trail"], route_class=JsonRoute, dependencies=[Administration]
)

MEDIA_TYPES = {ExportFormat.JSONL: "application/jsonl", ExportFormat.CSV: "text/csv; charset=utf-8"}


def _filter(
    event: Event = None,
    actor_id: Annotated[ActorId, Query(alias="actorId")] = None,
    subject_id: Annotated[SubjectId, Query(alias="subjectId")] = None,
    organization_id: Annotated[UUID | None, Query(alias="organizationId", description="Only of this one.")] = None,
    ip: Annotated[IPvAnyAddress | None, Query(description="Only from this address.")] = None,
    request_id: Annotated[Text | None, Query(alias="requestId", description="Only of this request.")] = None,
    since: Since = None,
    until: Until = None,
) -> AuditFilter:
    return AuditFilter(event, actor_id, subject_id, organization_id, ip, request_id, since, until)


WantedEvents = Annotated[AuditFilter, Depends(_filter)]


@router.get("")
async def list_audit_events(
    caller: CanReadWholeAudit, tx: Transaction, page: WantedPage, wanted: WantedEvents
) -> PageOut[AuditEventOut]:
    """List what was done in the whole installation, newest first."""
    found = await audit_events.list_page(tx, caller, wanted, page)
    tell_of_reading(caller)
    items = [AuditEventOut.model_validate(one) for one in found.items]
    return PageOut[AuditEventOut](items=items, next_cursor=found.next_cursor)


@router.get("/export", response_class=StreamingResponse)
async def export_audit_events(
    caller: CanReadWholeAudit,
    tx: Transaction,
    runtime: Runtime,
    now: Now,
    wanted: WantedEvents,
    form: Annotated[ExportFormat, Query(alias="format", description="JSON lines, or CSV.")] = ExportFormat.JSONL,
) -> StreamingResponse:
    """Export everything that was recorded so far, oldest first; that it was exported is recorded."""
    end = await audit_events.begin_export(tx, caller, wanted, form, now=now)
    tell_of_reading(caller)
    name = f"audit-events-{now:%Y%m%dT%H%M%SZ}.{form}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    lines = _lines(runtime, caller, wanted, form, end)
    return StreamingResponse(lines, media_type=MEDIA_TYPES[form], headers=headers)


@router.get("/{event_id}")
async def show_audit_event(caller: CanReadWholeAudit, tx: Transaction, event_id: UUID) -> AuditEventOut:
    """Show one event."""
    event = await audit_events.get(tx, caller, event_id)
    tell_of_reading(caller)
    return AuditEventOut.model_validate(event)


async def _lines(
    runtime: Runtime, caller: Principal, wanted: AuditFilter, form: ExportFormat, end: UUID
) -> AsyncIterator[str]:
    """The export in pieces; a slow reader holds no transaction, and what is left out when one fails is noticed.

    An error behind the first piece ends the connection in the midst of the body, which no client takes for its end.
    """
    yield export_head(form)
    after: UUID | None = None
    while True:
        async with runtime.database.transaction() as tx:
            events = await audit_events.list_exported(tx, caller, wanted, after=after, end=end)
        yield export_lines(events, form)
        if len(events) < audit_events.EXPORTED_AT_ONCE:
            return
        after = events[-1].id
