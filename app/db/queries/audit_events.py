"""Queries over the audit trail; `organization_id` None means all of it (an operator asks)."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Select, func, select

from app.db.models import ApiKey, AuditEvent, AuditLink, User
from app.db.session import Session
from app.domain.audit_events import Actor, AuditFilter, RecordedEvent
from app.domain.errors import AuditEventNotFound

_Found = Select[AuditEvent, int, str, UUID]


async def get_audit_event(tx: Session, organization_id: UUID | None, event_id: UUID) -> RecordedEvent:
    """The event, or AuditEventNotFound, also when it is a stranger's."""
    row = (await tx.execute(_visible(organization_id).where(AuditEvent.id == event_id))).one_or_none()
    if row is None:
        raise AuditEventNotFound
    return _recorded(*row)


async def list_audit_events(
    tx: Session, organization_id: UUID | None, wanted: AuditFilter, *, before: UUID | None, limit: int
) -> Sequence[RecordedEvent]:
    """Events, newest first."""
    query = _wanted(_visible(organization_id), wanted).order_by(AuditEvent.id.desc()).limit(limit)
    if before is not None:
        query = query.where(AuditEvent.id < before)
    return [_recorded(*row) for row in await tx.execute(query)]


async def list_audit_events_in_order(
    tx: Session, organization_id: UUID | None, wanted: AuditFilter, *, after: UUID | None, end: UUID, limit: int
) -> Sequence[RecordedEvent]:
    """Events behind one and before another, oldest first."""
    query = _wanted(_visible(organization_id), wanted).where(AuditEvent.id < end)
    if after is not None:
        query = query.where(AuditEvent.id > after)
    return [_recorded(*row) for row in await tx.execute(query.order_by(AuditEvent.id).limit(limit))]


def _visible(organization_id: UUID | None) -> _Found:
    actor_organization_id = func.coalesce(User.organization_id, ApiKey.organization_id)
    query = (
        select(AuditEvent, AuditLink.position, func.coalesce(User.email, ApiKey.name), actor_organization_id)
        .outerjoin(AuditLink, AuditLink.event_id == AuditEvent.id)
        .outerjoin(User, User.id == AuditEvent.actor_id)
        .outerjoin(ApiKey, ApiKey.id == AuditEvent.actor_id)
    )
    return query if organization_id is None else query.where(AuditEvent.organization_id == organization_id)


def _wanted(query: _Found, wanted: AuditFilter) -> _Found:
    for column, value in (
        (AuditEvent.event, wanted.event),
        (AuditEvent.actor_id, wanted.actor_id),
        (AuditEvent.subject_id, wanted.subject_id),
        (AuditEvent.organization_id, wanted.organization_id),
        (AuditEvent.ip, wanted.ip),
        (AuditEvent.request_id, wanted.request_id),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.since is not None:
        query = query.where(AuditEvent.occurred_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(AuditEvent.occurred_at < wanted.until)
    return query


def _recorded(
    event: AuditEvent, position: int | None, actor_name: str | None, actor_organization_id: UUID | None
) -> RecordedEvent:
    return RecordedEvent(
        id=event.id,
        occurred_at=event.occurred_at,
        event=event.event,
        subject_id=event.subject_id,
        organization_id=event.organization_id,
        actor=Actor(event.actor_kind, event.actor_id, actor_name),
        actor_organization_id=actor_organization_id,
        ip=event.ip,
        request_id=event.request_id,
        data=event.data,
        position=position,
    )
