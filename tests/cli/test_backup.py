"""A backup by command."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import CommandLine


def test_a_backup_is_made_here_and_now_and_is_told_in_words_and_in_json(cli: CommandLine, tmp_path: Path) -> None:
    run = cli.json("backup", "--pin", "--note", "before 2.0")
    text = cli.text("backup")

    assert (run["kind"], run["status"], run["options"]) == ("backup", "succeeded", {"pin": True, "note": "before 2.0"})
    assert (tmp_path / "data" / "backups" / run["result"]["fileName"]).stat().st_size == run["result"]["bytes"]
    assert ".dump.zst" in text
    assert "{" not in text


def test_without_waiting_it_is_left_to_a_server(cli: CommandLine) -> None:
    assert cli.json("backup", "--no-wait")["status"] == "queued"
