"""The audit trail on the command line: list, export, verify; with a server and without."""

from __future__ import annotations

import json
import re
from pathlib import Path

import psycopg

from tests.cli.conftest import CommandLine


def test_the_trail_is_listed_exported_and_verified_without_a_server(cli: CommandLine, tmp_path: Path) -> None:
    cli.json("products", "create", "ninja", "--name", "Ninja")

    [listed] = cli.json("audit", "list", "--event", "product.created")["items"]
    assert (listed["subjectId"], listed["actor"], listed["isSealed"]) == (
        "ninja",
        {"kind": "command_line", "id": None, "name": None},
        False,
    )
    shown = cli.text("audit", "list")
    assert "command_line" in shown
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\dZ  product\.created", shown)

    verified = cli.json("audit", "verify")
    assert verified == {
        "intact": True,
        "position": 1,
        "head": verified["head"],
        "findingCount": 0,
        "findings": [],
    }
    assert cli.json("audit", "verify", "--head", verified["head"])["intact"] is True
    assert "yes" in cli.text("audit", "verify", "--head", verified["head"])

    [line] = cli.text("audit", "export").splitlines()
    assert json.loads(line)["position"] == 1
    target = tmp_path / "trail.csv"
    assert cli.text("audit", "export", "--format", "csv", "--output", str(target)) == ""
    assert [row.split(",")[2] for row in target.read_text().splitlines()] == [
        "event",
        "product.created",
        "audit.exported",
    ]
    assert cli.refusal("audit", "export", "--output", str(target)) == f"{target} can't be written: File exists."


def test_a_trail_that_was_changed_ends_with_1_and_says_where(cli: CommandLine, fresh_database: str) -> None:
    cli.json("products", "create", "ninja", "--name", "Ninja")
    head = cli.json("audit", "verify")["head"]
    with psycopg.connect(fresh_database) as connection:
        connection.execute("ALTER TABLE audit_events DISABLE TRIGGER ALL")
        connection.execute("UPDATE audit_events SET subject_id = 'other'")
        [(event_id,)] = connection.execute("SELECT id::text FROM audit_events").fetchall()

    found = cli.json("audit", "verify", "--head", head, status=1)

    assert (found["intact"], found["findingCount"]) == (False, 1)
    assert (found["findings"][0]["kind"], found["findings"][0]["position"], found["findings"][0]["eventId"]) == (
        "changed",
        1,
        event_id,
    )
    ran = cli.server.command("audit", "verify")
    assert ran.returncode == 1
    assert f"Position 1: event {event_id}" in ran.stderr


def test_a_trail_that_is_shorter_than_it_was_ends_with_1(cli: CommandLine) -> None:
    cli.json("products", "create", "ninja", "--name", "Ninja")

    found = cli.json("audit", "verify", "--head", "5:" + "0" * 64, status=1)

    assert [finding["kind"] for finding in found["findings"]] == ["cut_off"]
    assert "POSITION:HASH" in cli.usage("audit", "verify", "--head", "latest")
    assert "192.0.2.300" in cli.usage("audit", "list", "--ip", "192.0.2.300")


def test_a_running_server_seals_within_seconds_and_tells_the_head_when_it_stops(cli: CommandLine) -> None:
    with cli.server as server:
        cli.json("products", "create", "ninja", "--name", "Ninja")
        [listed] = cli.json("audit", "list", "--event", "product.created")["items"]
        assert listed["event"] == "product.created"
        server.stop()
        heads = [line for line in server.lines() if line["event"] == "audit_head"]

    assert [line["head"] for line in heads] == [cli.json("audit", "verify")["head"]]
