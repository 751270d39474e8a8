"""The catalog of backups on the command line."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from tests.cli.conftest import CommandLine
from tests.ops.maintenance.bench import rows

INSERT = (
    "INSERT INTO backups (id, tool, status, created_at, stores, file_name, bytes) SELECT gen_random_uuid(),"
    " 'license-server', 'verified', now() - make_interval(days => n), '{local}', 'backup-' || n || '.dump.zst', 4096"
    " FROM unnest(ARRAY[1, 2, 3, 40]) n RETURNING id::text"
)


def test_backups_are_listed_pinned_expired_and_deleted(cli: CommandLine, fresh_database: str) -> None:
    assert cli.text("backups", "list") == "Nothing there yet.\n"
    newest, second, _, old = (row[0] for row in rows(fresh_database, INSERT))
    folder = cli.server.folder / "data" / "backups"
    folder.mkdir(parents=True)
    for days in (1, 2, 3, 40):
        (folder / f"backup-{days}.dump.zst").write_bytes(bytes(4096))

    assert cli.json("backups", "pin", second, "--note", "before 2.0")["note"] == "before 2.0"
    listed = cli.text("backups", "list")
    foreseen = cli.json("backups", "expire", "--dry-run")
    assert "verified, pinned" in listed
    assert max(map(len, listed.splitlines())) <= 80
    assert [one["id"] for one in foreseen["gone"]] == [old]
    assert "it is older than" in " ".join(cli.text("backups", "expire").split())

    assert not (folder / "backup-40.dump.zst").exists()
    assert cli.json("backups", "show", old)["status"] == "expired"
    assert "BACKUP_PINNED" in cli.refusal("backups", "delete", second, "--yes")
    assert cli.json("backups", "unpin", second)["isPinned"] is False
    assert cli.json("backups", "delete", newest, "--yes")["reason"] == "requested"
    assert "BACKUP_NOT_FOUND" in cli.refusal("backups", "show", str(uuid4()))


def test_other_tools_report_from_their_scripts(cli: CommandLine, tmp_path: Path) -> None:
    report = ("backups", "report", "--tool", "wal-g", "--finished-at", "2026-03-01T02:10:00Z", "--label", "base_7")

    first = cli.json(*report, "--bytes", "1000")
    again = cli.json(*report, "--bytes", "1000")

    assert (first["tool"], first["status"], first["fileName"], first["bytes"]) == ("wal-g", "stored", "base_7", 1000)
    assert again == first
    assert cli.json(*report, "--status", "failed", "--failure", "disk full")["failure"] == "disk full"
    assert "BACKUP_REPORT_REFUSED" in cli.refusal("backups", "report", "--tool", "license-server")
    assert "BACKUP_REPORT_REFUSED" in cli.refusal("backups", "report", "--tool", "wal-g", "--status", "running")
    assert "stored by" not in cli.text("backups", "list")


def test_a_trial_of_an_unknown_backup_is_refused_and_leaves_no_failed_run(cli: CommandLine) -> None:
    for option in ((), ("--no-wait",)):
        assert "BACKUP_NOT_FOUND" in cli.refusal("backups", "verify", str(uuid4()), *option)

    assert cli.json("runs", "list", "--kind", "verify")["items"] == []
