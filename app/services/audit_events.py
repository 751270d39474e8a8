"""The audit trail for readers: look up, list, export."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.db import events
from app.db.queries import audit_events
from app.db.session import Session
from app.domain.audit_events import AuditFilter, ExportFormat, RecordedEvent, as_seen_by
from app.domain.events import EventName
from app.domain.pages import Page, PageRequest, cut_page
from app.domain.permissions import Principal

EXPORTED_AT_ONCE = 500


async def get(tx: Session, caller: Principal, event_id: UUID) -> RecordedEvent:
    """The event; a stranger's is AuditEventNotFound."""
    event = await audit_events.get_audit_event(tx, caller.organization_id, event_id)
    return as_seen_by(event, caller.organization_id)


async def list_page(tx: Session, caller: Principal, wanted: AuditFilter, page: PageRequest) -> Page[RecordedEvent]:
    """Events, newest first; a tenant finds only its own."""
    before = page.position(UUID)
    found = await audit_events.list_audit_events(
        tx, caller.organization_id, wanted, before=before, limit=page.limit + 1
    )
    shown = [as_seen_by(event, caller.organization_id) for event in found]
    return cut_page(shown, page.limit, lambda event: event.id)


async def begin_export(
    tx: Session, caller: Principal, wanted: AuditFilter, form: ExportFormat, *, now: datetime
) -> UUID:
    """Record that the trail is exported; the export ends before the event with this id."""
    data = {"format": form, "filter": wanted.describe()}
    event = await events.record(
        tx, caller, EventName.AUDIT_EXPORTED, "audit-events", organization_id=caller.organization_id, now=now, data=data
    )
    return event.id


async def list_exported(
    tx: Session, caller: Principal, wanted: AuditFilter, *, after: UUID | None, end: UUID
) -> Sequence[RecordedEvent]:
    """The next events of an export, oldest first; fewer than EXPORTED_AT_ONCE are the last.

    Events are never changed, so that an export in many short transactions is as good as one in a long one.
    """
    found = await audit_events.list_audit_events_in_order(
        tx, caller.organization_id, wanted, after=after, end=end, limit=EXPORTED_AT_ONCE
    )
    return [as_seen_by(event, caller.organization_id) for event in found]
