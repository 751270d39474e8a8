"""Retention, archives and legal holds on the command line."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from app.domain.maintenance import PruneOptions
from app.ops.maintenance.prune import prune
from tests.cli.conftest import CommandLine
from tests.conftest import Clock, make_settings
from tests.ops.maintenance.bench import put_validations, workbench


def test_holds_are_placed_listed_and_released(cli: CommandLine) -> None:
    assert cli.text("legal-holds", "list") == "Nothing there yet.\n"
    hold = cli.json("legal-holds", "place", "--reason", "case 7")
    assert (hold["organizationId"], hold["releasedAt"]) == (None, None)
    assert "ORGANIZATION_NOT_FOUND" in cli.refusal(
        "legal-holds", "place", "--reason", "x", "--organization-id", str(uuid4())
    )

    cli.json("legal-holds", "release", hold["id"])

    [listed] = cli.json("legal-holds", "list")["items"]
    assert (listed["id"], listed["releasedAt"] is not None) == (hold["id"], True)
    assert "LEGAL_HOLD_NOT_FOUND" in cli.refusal("legal-holds", "release", str(uuid4()))


def test_what_is_kept_and_what_was_archived_is_shown_and_verified(
    cli: CommandLine, fresh_database: str, tmp_path: Path
) -> None:
    put_validations(fresh_database, datetime(2025, 1, 1, tzinfo=UTC), 3)
    put_validations(fresh_database, datetime(2025, 1, 2, tzinfo=UTC), 3)
    asyncio.run(_prune(fresh_database, cli.server.folder / "data"))

    kinds = {one["name"]: one for one in cli.json("retention", "show")["kinds"]}
    [second, first] = cli.json("retention", "archives")["items"]
    assert (kinds["archives"]["rows"], kinds["validation_events"]["kept"]) == (2, "90 days")
    assert [one["subject"] for one in (first, second)] == ["validation_events_20250101", "validation_events_20250102"]
    assert cli.json("retention", "verify-archives") == {"archives": 2, "findings": [], "unrecorded": []}
    left = cli.server.folder / "data" / "archive" / "validation_events_20240101-00.jsonl.gz"
    left.write_bytes(b"of a run that was killed")
    assert cli.json("retention", "verify-archives")["unrecorded"] == [left.name]
    left.unlink()
    assert "audit_events 730 days archived" in " ".join(cli.text("retention", "show").split())

    (cli.server.folder / "data" / "archive" / first["fileName"]).unlink()

    ran = cli.server.command("retention", "verify-archives")
    assert (ran.returncode, ran.stderr) == (1, f"{first['fileName']} is missing.\n")
    assert cli.json("retention", "verify-archives", status=1)["findings"] == [f"{first['fileName']} is missing."]


async def _prune(url: str, data_dir: Path) -> None:
    async with workbench(make_settings(url, data_dir), Clock()) as bench:
        await prune(bench, PruneOptions())
