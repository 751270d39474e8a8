"""The forms of an export: JSON lines for programs, CSV that a spreadsheet does not run."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any
from uuid import UUID

import pytest

from app.domain.audit_events import Actor, ExportFormat, RecordedEvent, export_head, export_lines


def recorded(**fields: Any) -> RecordedEvent:
    given: dict[str, Any] = {
        "id": UUID(int=1),
        "occurred_at": datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC),
        "event": "product.created",
        "subject_id": "ninja",
        "organization_id": None,
        "actor": Actor("user", UUID(int=2), "op@example.com"),
        "actor_organization_id": None,
        "ip": ip_address("192.0.2.7"),
        "request_id": "r-1",
        "data": {"after": {"name": 'Zwei\nZeilen, "quoted"'}},
        "position": 7,
        **fields,
    }
    return RecordedEvent(**given)


def read_csv(events: list[RecordedEvent]) -> list[dict[str, str]]:
    text = export_head(ExportFormat.CSV) + export_lines(events, ExportFormat.CSV)
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_json_lines_are_one_document_a_line() -> None:
    lines = export_lines([recorded(), recorded(position=None, ip=None)], ExportFormat.JSONL).splitlines()

    assert export_head(ExportFormat.JSONL) == ""
    assert json.loads(lines[0]) == {
        "id": "00000000-0000-0000-0000-000000000001",
        "occurredAt": "2026-03-01T12:00:00.123Z",
        "event": "product.created",
        "subjectId": "ninja",
        "organizationId": None,
        "actor": {"kind": "user", "id": "00000000-0000-0000-0000-000000000002", "name": "op@example.com"},
        "ip": "192.0.2.7",
        "requestId": "r-1",
        "data": {"after": {"name": 'Zwei\nZeilen, "quoted"'}},
        "position": 7,
        "isSealed": True,
    }
    assert (json.loads(lines[1])["isSealed"], json.loads(lines[1])["ip"]) == (False, None)


def test_csv_has_one_row_an_event_whatever_is_in_it() -> None:
    [row] = read_csv([recorded()])

    assert (row["actorName"], row["ip"], row["position"]) == ("op@example.com", "192.0.2.7", "7")
    assert json.loads(row["data"]) == {"after": {"name": 'Zwei\nZeilen, "quoted"'}}
    assert row["organizationId"] == ""


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(start: str) -> None:
    text = f"{start}HYPERLINK(1)"

    [row] = read_csv([recorded(subject_id=text, request_id=text, actor=Actor("api_key", UUID(int=2), text))])

    assert (row["subjectId"], row["requestId"], row["actorName"]) == (f"'{text}",) * 3
