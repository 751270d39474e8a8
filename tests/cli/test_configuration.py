"""The configuration by command: sealed, shown, restored into an empty folder, and the recovery key shown once."""

from __future__ import annotations

import json
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine
from tests.live import LiveServer, free_port

MAKES_A_KEY = re.compile(r"AGE-SECRET-KEY-1[A-Z0-9]{58}")


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[LiveServer]:
    """The command line of a new installation with a PostgreSQL of its own; nothing of it is left afterwards."""
    folder = tmp_path / "installation"
    folder.mkdir()
    server = LiveServer(folder, {"DRAIN_SECONDS": "0"}, free_port())
    assert server.command("migrate").returncode == 0
    yield server
    for process in server.postgres_processes():
        process.kill()


@pytest.fixture
def elsewhere(tmp_path: Path) -> LiveServer:
    """The command line of a new machine, in an empty folder, without any setting."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return LiveServer(folder, {}, free_port())


def restore(machine: LiveServer, recovery_key: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    key = machine.folder.parent / "paper"
    key.write_text(f"The recovery key: {recovery_key}\n")
    return machine.command("configuration", "restore", *arguments, "--recovery-key-file", str(key))


def test_the_recovery_key_is_printed_once_and_stored_nowhere(embedded: LiveServer) -> None:
    first = embedded.command("configuration", "backup")
    second = embedded.command("configuration", "backup")
    third = embedded.command("configuration", "backup", "--new-recovery-key")

    [key] = MAKES_A_KEY.findall(first.stdout)
    assert (first.returncode, second.returncode, second.stdout) == (0, 0, ""), first.stderr + second.stderr
    assert "the disk of DATA_DIR" in second.stderr
    [another] = MAKES_A_KEY.findall(third.stdout)
    assert another != key
    assert "AGE-SECRET-KEY" not in first.stderr + second.stderr
    assert not list(files_that_hold(embedded.folder, key))
    [event] = embedded.json("audit", "list", "--event", "configuration.backed_up")["items"][:1]
    assert event["data"]["places"] == ["local"]
    assert "AGE-SECRET-KEY" not in json.dumps(event)


def test_a_new_machine_gets_everything_back_from_the_bundle_and_the_recovery_key(
    embedded: LiveServer, elsewhere: LiveServer
) -> None:
    (embedded.folder / ".env").write_text("LOG_LEVEL=warn\nADMIN_PASSWORD='a # good $one\\' that lasts'\n")
    made = embedded.json("configuration", "backup", "--to", str(embedded.folder.parent / "bundle.age"))

    shown = elsewhere.command("configuration", "show", made["places"][0])
    done = restore(elsewhere, made["recoveryKey"], made["places"][0])

    assert shown.returncode == 1
    assert "WRONG_RECOVERY_KEY" in shown.stderr
    assert done.returncode == 0, done.stderr
    for name in (".env", "data/encryption.key"):
        assert stat.S_IMODE((elsewhere.folder / name).stat().st_mode) == 0o600
    key = (embedded.folder / "data" / "encryption.key").read_text()
    assert (elsewhere.folder / "data" / "encryption.key").read_text() == key
    again = elsewhere.command("configuration", "backup", "--offline", "--to", "-")
    assert (again.returncode, again.stdout[:10]) == (0, "-----BEGIN"), again.stderr
    [recovery_key] = MAKES_A_KEY.findall(again.stderr)
    (elsewhere.folder / "copy.age").write_text(again.stdout)
    (elsewhere.folder / "paper").write_text(recovery_key)
    settings = elsewhere.json("configuration", "show", "copy.age", "--recovery-key-file", "paper")["settings"]
    told = {one["name"]: (one["value"], one["source"]) for one in settings}
    assert told["LOG_LEVEL"] == ("warn", ".env")
    assert told["ADMIN_PASSWORD"] == ("(secret)", ".env")
    assert "a # good" not in json.dumps(settings)
    assert "ADMIN_PASSWORD='a # good $one\\' that lasts'" in (elsewhere.folder / ".env").read_text()


def test_a_configuration_that_is_there_stays_unless_forced(embedded: LiveServer, elsewhere: LiveServer) -> None:
    made = embedded.json("configuration", "backup", "--to", str(embedded.folder.parent / "bundle.age"))
    (elsewhere.folder / ".env").write_text("PORT=1\nSMTP_HOST=mail.example.com\n")

    refused = restore(elsewhere, made["recoveryKey"], made["places"][0])
    forced = restore(elsewhere, made["recoveryKey"], made["places"][0], "--force")

    assert refused.returncode == 1
    assert "CONFIGURATION_EXISTS" in refused.stderr
    assert "The present .env has another value of PORT." in refused.stderr
    assert "The present .env also sets SMTP_HOST." in refused.stderr
    assert not (elsewhere.folder / "data").exists() or refused.returncode
    assert forced.returncode == 0, forced.stderr
    [kept] = elsewhere.folder.glob(".env.before-*")
    assert kept.read_text() == "PORT=1\nSMTP_HOST=mail.example.com\n"
    assert stat.S_IMODE((elsewhere.folder / ".env").stat().st_mode) == 0o600


def test_into_a_folder_nothing_goes_elsewhere_and_a_lost_key_is_told(
    embedded: LiveServer, elsewhere: LiveServer
) -> None:
    made = embedded.json("configuration", "backup", "--to", str(embedded.folder.parent / "bundle.age"))

    wrong = restore(elsewhere, "AGE-SECRET-KEY-1" + "Q" * 58, made["places"][0])
    done = restore(elsewhere, made["recoveryKey"], made["places"][0], "--to", "there")

    assert wrong.returncode == 1
    assert "WRONG_RECOVERY_KEY" in wrong.stderr
    assert done.returncode == 0
    assert sorted(str(one.relative_to(elsewhere.folder)) for one in elsewhere.folder.rglob("*")) == [
        *("there", "there/.env", "there/encryption.key"),
    ]


def test_the_doctor_is_content_when_the_key_is_elsewhere(embedded: LiveServer) -> None:
    before = finding(embedded, "encryption_key_copy")
    embedded.command("configuration", "backup", "--to", "-")
    after = finding(embedded, "encryption_key_copy")

    assert before["level"] == "warning"
    assert before["action"].startswith("license-server configuration backup")
    assert (after["level"], after["sentence"].split(" on ")[0]) == (
        "good",
        "A copy of the encryption key was put into where standard output went",
    )


def test_a_bundle_is_made_of_the_environment_and_its_keys(cli: CommandLine, tmp_path: Path) -> None:
    made = cli.json("configuration", "backup", "--to", "bundle.age")
    (tmp_path / "paper").write_text(made["recoveryKey"])

    shown = cli.json("configuration", "show", "bundle.age", "--recovery-key-file", "paper")

    assert {one["name"]: one["source"] for one in shown["settings"]}["ENCRYPTION_KEY"] == "environment"
    assert shown["hasKeyFile"] is False
    assert shown["keyFingerprints"] == made["keyFingerprints"]
    assert "CONFIGURATION_EXISTS" in cli.refusal("configuration", "backup", "--to", "bundle.age")


def finding(machine: LiveServer, check: str) -> dict[str, str]:
    [found] = [
        one for one in json.loads(machine.command("doctor", "--json").stdout)["findings"] if one["check"] == check
    ]
    return dict(found)


def files_that_hold(folder: Path, text: str) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and text.encode() in path.read_bytes():
            yield path
