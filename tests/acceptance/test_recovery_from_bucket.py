"""The machine is lost with its disks: the bucket and the recovery key are everything."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.test_disaster_recovery import drill, end_all, left_of_drills
from tests.live import LiveServer, free_port
from tests.s3 import live_s3


def test_a_drill_takes_everything_from_the_bucket_alone(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    paper = tmp_path / "paper"
    with live_s3() as s3:
        try:
            with LiveServer(tmp_path / "old", {"DRAIN_SECONDS": "0", **s3.environment}, free_port()) as server:
                paper.write_text(server.json("configuration", "backup")["recoveryKey"])
                server.json("backup")
                for file in (server.folder / "data" / "backups").iterdir():
                    file.unlink()
                before = s3.names()

                done = drill(server, "--yes", "--recovery-key-file", str(paper))

                [run] = server.json("runs", "list", "--kind", "drill")["items"]
                result = server.json("runs", "show", run["id"])["result"]
                [finding] = [one for one in server.json("doctor")["findings"] if one["check"] == "encryption_key_copy"]
                assert left_of_drills(server) == []
        finally:
            end_all(tmp_path)
        after = s3.names()

    assert done.returncode == 0, done.stderr
    assert result["source"].startswith("s3://acme-backups/licenses/backups")
    assert [step.get("failure") for step in result["steps"]] == [None] * 5
    assert [gap["sentence"].split(",")[0] for gap in result["gaps"]] == ["Nobody was asked what only people can answer"]
    assert after == before
    assert finding["level"] == "good"
