"""The audit trail for readers: what is asked for, what is shown to whom, and the forms it is exported in."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from uuid import UUID

from app.domain.events import EventName
from app.domain.permissions import PrincipalKind

Address = IPv4Address | IPv6Address

OPERATOR = "Operator"
"""What a tenant is told of whoever runs the installation."""

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_COLUMNS = (
    *("id", "occurredAt", "event", "subjectId", "organizationId", "actorKind", "actorId", "actorName"),
    *("ip", "requestId", "position", "data"),
)


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which events are wanted; None means any. `since` is the first moment, `until` the first one after."""

    event: EventName | None = None
    actor_id: UUID | None = None
    subject_id: str | None = None
    organization_id: UUID | None = None
    ip: Address | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def describe(self) -> dict[str, str]:
        """The wishes that were made, as they stand in the audit trail."""
        wishes = {
            "event": self.event,
            "actorId": self.actor_id,
            "subjectId": self.subject_id,
            "organizationId": self.organization_id,
            "ip": self.ip,
            "requestId": self.request_id,
            "since": self.since and self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
        }
        return {name: str(value) for name, value in wishes.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it; the name is the e-mail address of a user and the name of an API key, None for others."""

    kind: str
    id: UUID | None
    name: str | None


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event as it is shown; `position` is its place in the chain, None until it is sealed."""

    id: UUID
    occurred_at: datetime
    event: str
    subject_id: str
    organization_id: UUID | None
    actor: Actor
    actor_organization_id: UUID | None
    ip: Address | None
    request_id: str | None
    data: dict[str, Any]
    position: int | None

    @property
    def is_sealed(self) -> bool:
        """Whether the chain holds it already."""
        return self.position is not None


class ExportFormat(StrEnum):
    """The forms of an export: JSON lines for programs, CSV for spreadsheets."""

    JSONL = "jsonl"
    CSV = "csv"


def as_seen_by(event: RecordedEvent, organization_id: UUID | None) -> RecordedEvent:
    """The event as a tenant sees it: of operators it learns what they did, not who they are nor where they were.

    Of a deleted account nobody knows what it was: it keeps its id, so that no act of the tenant's own people can be
    laid to the operators by deleting who did it.
    """
    has_account = event.actor.kind in (PrincipalKind.USER, PrincipalKind.API_KEY)
    if organization_id is None or not has_account or event.actor_organization_id == organization_id:
        return event
    is_gone = event.actor.name is None
    shown = event.actor if is_gone else Actor(event.actor.kind, None, OPERATOR)
    return replace(event, actor=shown, ip=None, request_id=None)


def as_document(event: RecordedEvent) -> dict[str, Any]:
    """The event in JSON."""
    return {
        "id": str(event.id),
        "occurredAt": _moment(event.occurred_at),
        "event": event.event,
        "subjectId": event.subject_id,
        "organizationId": _text(event.organization_id),
        "actor": {"kind": event.actor.kind, "id": _text(event.actor.id), "name": event.actor.name},
        "ip": _text(event.ip),
        "requestId": event.request_id,
        "data": event.data,
        "position": event.position,
        "isSealed": event.is_sealed,
    }


def export_head(form: ExportFormat) -> str:
    """What an export begins with."""
    return "" if form is ExportFormat.JSONL else _csv_lines([_COLUMNS])


def export_lines(events: Iterable[RecordedEvent], form: ExportFormat) -> str:
    """Events as lines of an export."""
    if form is ExportFormat.JSONL:
        return "".join(json.dumps(as_document(event), ensure_ascii=False) + "\n" for event in events)
    return _csv_lines(_cells(event) for event in events)


def _cells(event: RecordedEvent) -> list[str]:
    document = as_document(event)
    actor = document["actor"]
    flat = {
        **document,
        "actorKind": actor["kind"],
        "actorId": actor["id"],
        "actorName": actor["name"],
        "data": json.dumps(event.data, ensure_ascii=False),
    }
    return [_harmless("" if flat[column] is None else str(flat[column])) for column in _COLUMNS]


def _harmless(cell: str) -> str:
    """A spreadsheet takes what begins like this for a formula and runs it; behind an apostrophe it is text."""
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell


def _csv_lines(rows: Iterable[Iterable[str]]) -> str:
    lines = io.StringIO()
    csv.writer(lines).writerows(rows)
    return lines.getvalue()


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(value: object) -> str | None:
    return None if value is None else str(value)
