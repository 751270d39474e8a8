"""The machine is lost: from the backups' place and the recovery key alone comes a server that answers as before."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.live import LiveServer, free_port, wait_until

DRILL_SECONDS = 180.0


@pytest.fixture
def old_machine(tmp_path: Path) -> Iterator[LiveServer]:
    """A server with an embedded PostgreSQL, three licenses, a backup elsewhere, and a bundle beside it."""
    (tmp_path / "old").mkdir()
    (tmp_path / "bucket").mkdir()
    environment = {"DRAIN_SECONDS": "0", "BACKUP_DIR": str(tmp_path / "bucket")}
    with LiveServer(tmp_path / "old", environment, free_port()) as server:
        yield server
    end_all(tmp_path)


@pytest.fixture
def recovery_key(old_machine: LiveServer) -> str:
    """On paper."""
    key: str = old_machine.json("configuration", "backup")["recoveryKey"]
    return key


@pytest.fixture
def license_key(old_machine: LiveServer) -> str:
    """Of the newest license of three."""
    company = ("--name", "Acme", "--domain", "acme.example.com", "--email", "acme@example.com")
    organization = old_machine.json("organizations", "create", *company)["id"]
    issued = [
        old_machine.json("licenses", "issue", "--organization-id", organization, "--tier", "ENTERPRISE")
        for _ in range(3)
    ]
    assert old_machine.json("backup")["status"] == "succeeded"
    key: str = issued[-1]["licenseKey"]
    return key


def test_a_drill_recovers_for_real_and_times_it_while_the_live_server_goes_on(
    old_machine: LiveServer, license_key: str, recovery_key: str, tmp_path: Path
) -> None:
    (tmp_path / "paper").write_text(recovery_key)
    old_machine.json("backup")

    done = drill(old_machine, "--yes", "--led-by", "Ada", "--recovery-key-file", str(tmp_path / "paper"))

    run = json.loads(done.stdout)
    assert run["status"] == "succeeded_with_warnings", run
    result = run["result"]
    assert [step["name"] for step in result["steps"]] == [
        *("configuration", "backup", "restore", "server", "validation"),
    ]
    assert "opened with the recovery key" in result["steps"][0]["detail"]
    assert result["steps"][-1]["detail"].endswith("is answered VALID")
    assert result["recoverySeconds"] == pytest.approx(sum(step["seconds"] for step in result["steps"]))
    assert 0 <= result["dataLossSeconds"] < 600
    assert [gap["sentence"].split(",")[0] for gap in result["gaps"]] == [
        "The backups are on the same disk as the server's data",
        "Nobody was asked what only people can answer",
    ]
    for path in map(Path, result["reports"]):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert recovery_key not in path.read_text()
    assert recovery_key not in json.dumps(run)
    assert left_of_drills(old_machine) == []
    assert validate(old_machine, license_key)["code"] == "VALID"
    assert old_machine.json("licenses", "list")["items"][0]["id"]


def test_stores_and_the_recovery_key_are_everything(
    old_machine: LiveServer, license_key: str, recovery_key: str, tmp_path: Path
) -> None:
    old_machine.json("backup")
    old_machine.process.kill()
    old_machine.process.wait()
    new = LiveServer(tmp_path / "new", {}, free_port())
    new.folder.mkdir()
    (tmp_path / "paper").write_text(recovery_key)
    bundle = max((tmp_path / "bucket").glob("configuration-*.age"))

    for words in (
        ("configuration", "restore", str(bundle), "--recovery-key-file", str(tmp_path / "paper")),
        ("restore", "--backup", "newest", "--confirm", "itechsmart_licenses"),
    ):
        done = new.command(*words)
        assert done.returncode == 0, done.stderr
    with new:
        answer = validate(new, license_key)

    assert (answer["valid"], answer["code"]) == (True, "VALID")


def test_a_drill_that_is_killed_leaves_nothing_once_the_server_has_noticed(
    old_machine: LiveServer, license_key: str
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "drill", "--yes"],
        cwd=old_machine.folder,
        env=old_machine.full_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    data_dir = old_machine.folder / "data"
    wait_until(lambda: any((one / "data" / "postgres").exists() for one in data_dir.glob("drill-*")), "it restores", 60)
    process.send_signal(signal.SIGKILL)
    process.wait()

    wait_until(
        lambda: old_machine.json("runs", "list", "--kind", "drill")["items"][0]["status"] == "lost", "it is lost"
    )

    assert left_of_drills(old_machine) == []
    assert validate(old_machine, license_key)["code"] == "VALID"


def drill(server: LiveServer, *words: str) -> subprocess.CompletedProcess[str]:
    """A drill may take longer than other commands."""
    return subprocess.run(
        [sys.executable, "-m", "app", "drill", *words, "--json"],
        cwd=server.folder,
        env=server.full_environment(),
        capture_output=True,
        text=True,
        timeout=DRILL_SECONDS,
        check=False,
    )


def validate(server: LiveServer, license_key: str) -> Any:
    return server.client.post("/api/licenses/validate", json={"licenseKey": license_key}).json()


def left_of_drills(server: LiveServer) -> list[str]:
    """Folders of trials, and processes in them."""
    folders = list((server.folder / "data").glob("drill-*"))
    processes = [one for one in psutil.process_iter() if "/drill-" in _folder_of(one)]
    return [*map(str, folders), *(_folder_of(one) for one in processes)]


def end_all(folder: Path) -> None:
    """Kill what a test that failed has left."""
    for process in psutil.process_iter():
        if _folder_of(process).startswith(f"{folder}/"):
            process.kill()


def _folder_of(process: psutil.Process) -> str:
    try:
        return str(process.cwd())
    except psutil.Error:
        return ""
