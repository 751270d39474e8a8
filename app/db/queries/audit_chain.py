"""Queries over the chain that seals the audit trail of all organizations together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg import sql
from sqlalchemy import (
    ColumnElement,
    DateTime,
    SQLColumnExpression,
    Text,
    case,
    cast,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
)

from app.db.direct import DirectConnection
from app.db.locks import try_lock_name
from app.db.models import AuditBase, AuditEvent, AuditLink, InstallationSecret, UnsealedAuditEvent
from app.db.session import Session, driver_connection
from app.db.sql import read_sql
from app.domain.archives import ArchiveFile
from app.domain.audit_chain import Base, EventState, Head, Link, UnsealedEvent

KEY_NAME = "audit_chain"

_APPEND_LINKS = read_sql("append_audit_links")
_ADD_BASE = sql.SQL(
    "INSERT INTO audit_bases (position, hash, archive_id, archive_sha256, seal_hash, created_at)"
    " VALUES (%s, %s, %s, %s, %s, %s)"
)
_REMOVE_EVENTS = sql.SQL(
    "WITH gone AS (DELETE FROM audit_events USING audit_links AS link"
    " WHERE link.event_id = audit_events.id AND link.position <= %s RETURNING 1) SELECT count(*) FROM gone"
)
_REMOVE_LINKS = sql.SQL(
    "WITH gone AS (DELETE FROM audit_links WHERE position <= %s RETURNING 1) SELECT count(*) FROM gone"
)


@dataclass(frozen=True, slots=True)
class Archivable:
    """A link with its event, as an archive keeps them; `document` is the event as JSON, None when it is gone."""

    link: Link
    sealed_at: datetime
    occurred_at: datetime | None
    is_held: bool
    document: str | None


async def has_unsealed(tx: Session) -> bool:
    """Whether any event waits for its link."""
    return bool(await tx.scalar(select(exists(select(UnsealedAuditEvent.event_id)))))


async def try_lock_chain(tx: Session) -> bool:
    """Be the only one to add links until the transaction ends; False when somebody else is."""
    return await try_lock_name(tx, "audit chain")


async def find_chain_key(tx: Session) -> InstallationSecret | None:
    """The key of the chain, encrypted."""
    return await tx.get(InstallationSecret, KEY_NAME)


async def find_head(tx: Session) -> Head:
    """The end of the chain, which is its base when all of it was archived."""
    query = select(AuditLink.position, AuditLink.hash).order_by(AuditLink.position.desc()).limit(1)
    row = (await tx.execute(query)).one_or_none()
    if row is not None:
        return Head(row[0], row[1])
    base = await find_base(tx)
    return Head() if base is None else base.head


async def find_base(tx: Session) -> Base | None:
    """Where the chain begins since its oldest part was archived; None while all of it is there."""
    query = select(AuditBase.position, AuditBase.hash, AuditBase.archive_sha256, AuditBase.seal_hash)
    row = (await tx.execute(query.order_by(AuditBase.position.desc()).limit(1))).one_or_none()
    return None if row is None else Base(*row)


async def list_unsealed(tx: Session, *, sealed_at: datetime, limit: int) -> Sequence[UnsealedEvent]:
    """The events that wait for a link, in the order of their ids.

    The queue is cut before it is joined, so that the planner never walks the whole trail for a few rows.
    """
    waiting = select(UnsealedAuditEvent.event_id).order_by(UnsealedAuditEvent.event_id).limit(limit).subquery()
    is_linked = exists(select(AuditLink.position).where(AuditLink.event_id == waiting.c.event_id))
    moment = literal(sealed_at, DateTime(timezone=True))
    query = (
        select(waiting.c.event_id, is_linked, _canonical(moment))
        .outerjoin_from(waiting, AuditEvent, AuditEvent.id == waiting.c.event_id)
        .order_by(waiting.c.event_id)
    )
    return [UnsealedEvent(*row) for row in await tx.execute(query)]


async def append_links(
    tx: Session, links: Sequence[Link], taken: Sequence[UnsealedEvent], *, sealed_at: datetime
) -> None:
    """Add links to the end of the chain; the events that were taken wait no longer."""
    connection = await driver_connection(tx)
    await connection.execute(
        _APPEND_LINKS,
        {
            "sealed_at": sealed_at,
            "positions": [link.position for link in links],
            "event_ids": [link.event_id for link in links],
            "hashes": [link.hash for link in links],
            "taken_ids": [event.event_id for event in taken],
        },
    )


async def list_links(tx: Session, *, after: int, last: int, limit: int) -> Sequence[Link]:
    """The links behind a position, up to the last one, in order."""
    query = (
        select(AuditLink.position, AuditLink.event_id, AuditLink.hash, _canonical(AuditLink.sealed_at))
        .outerjoin(AuditEvent, AuditEvent.id == AuditLink.event_id)
        .where(AuditLink.position > after, AuditLink.position <= last)
        .order_by(AuditLink.position)
        .limit(limit)
    )
    return [Link(*row) for row in await tx.execute(query)]


async def list_archivable(
    tx: Session, *, after: int, organization_ids: Sequence[str], limit: int
) -> Sequence[Archivable]:
    """The links behind a position, in order, with all that an archive keeps; those of some organizations are marked."""
    is_held = or_(
        cast(AuditEvent.organization_id, Text).in_(organization_ids), AuditEvent.subject_id.in_(organization_ids)
    )
    query = (
        select(AuditLink.position, AuditLink.event_id, AuditLink.hash, _canonical(AuditLink.sealed_at))
        .add_columns(AuditLink.sealed_at, AuditEvent.occurred_at, func.coalesce(is_held, literal(False)))
        .add_columns(cast(func.row_to_json(literal_column("audit_events")), Text))
        .outerjoin(AuditEvent, AuditEvent.id == AuditLink.event_id)
        .where(AuditLink.position > after)
        .order_by(AuditLink.position)
        .limit(limit)
    )
    return [Archivable(Link(*row[:4]), *row[4:]) for row in await tx.execute(query)]


async def remove_prefix(direct: DirectConnection, base: Base, archive: ArchiveFile) -> tuple[int, int]:
    """Let all events and links up to a base go, in the present transaction; how many of each they were.

    The role gives itself the permission for as long as the transaction lasts, and nobody else sees that; the triggers
    let go what the base covers, and nothing else.
    """
    await direct.execute(sql.SQL("GRANT DELETE ON audit_events, audit_links TO CURRENT_USER"))
    await direct.execute(
        _ADD_BASE,
        [base.position, base.hash, archive.id, archive.sha256, base.seal, archive.created_at],
    )
    [[events]] = await direct.execute(_REMOVE_EVENTS, [base.position])
    [[links]] = await direct.execute(_REMOVE_LINKS, [base.position])
    await direct.execute(sql.SQL("REVOKE DELETE ON audit_events, audit_links FROM CURRENT_USER"))
    return events, links


async def list_event_states(
    tx: Session, *, after: UUID | None, old_before: datetime, limit: int
) -> Sequence[EventState]:
    """The events behind an id, in order: whether each has a link, waits for one, and is older than a moment."""
    ids = select(AuditEvent.id, (AuditEvent.occurred_at < old_before).label("is_old")).order_by(AuditEvent.id)
    if after is not None:
        ids = ids.where(AuditEvent.id > after)
    seen = ids.limit(limit).subquery()
    query = select(
        seen.c.id,
        exists(select(AuditLink.position).where(AuditLink.event_id == seen.c.id)),
        exists(select(UnsealedAuditEvent.event_id).where(UnsealedAuditEvent.event_id == seen.c.id)),
        seen.c.is_old,
    ).order_by(seen.c.id)
    return [EventState(*row) for row in await tx.execute(query)]


def _canonical(sealed_at: SQLColumnExpression[datetime]) -> ColumnElement[str | None]:
    """An event as the text that is sealed: all of its columns, the form's version first; NULL where it is gone.

    jsonb writes texts, numbers and members in one way only, and moments without zone in ISO 8601 whatever the session's
    settings are: the same event is the same text on every PostgreSQL.
    """
    utc = literal_column("'UTC'", Text())
    columns = (
        *(func.timezone(utc, sealed_at), AuditEvent.id, func.timezone(utc, AuditEvent.occurred_at), AuditEvent.event),
        *(AuditEvent.subject_id, AuditEvent.organization_id, AuditEvent.actor_kind, AuditEvent.actor_id),
        *(AuditEvent.ip, AuditEvent.request_id, AuditEvent.data),
    )
    text = cast(func.jsonb_build_array(literal_column("1"), *columns), Text)
    return case((AuditEvent.id.is_not(None), text))
