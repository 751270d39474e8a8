"""The doctor's look at settings, files and the port of this machine."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from app.domain.findings import Finding, Level
from app.ops.installation import check_disks, check_files, check_port, check_settings, judge_room
from app.settings import Settings, inspect_settings
from tests.live import LiveServer, free_port


def settings_with(**given: object) -> Settings:
    return Settings.model_validate(given)


def by_check(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.check: finding for finding in findings}


@pytest.mark.parametrize(("free", "level"), [(0.16, "good"), (0.14, "warning"), (0.04, "bad"), (0, "bad")])
def test_a_disk_is_judged_by_the_share_that_is_free(free: float, level: str) -> None:
    assert judge_room(free) == level


def test_each_problem_of_the_settings_is_a_finding_and_what_is_right_is_still_used(tmp_path: Path) -> None:
    environ = {"PORT": "none", "LOG_LEVEL": "loud", "HOST": "0.0.0.0", "SLACK_WEBHOOK_URL": "https://a.example/geheim"}
    inspected = inspect_settings(environ, None)

    findings = check_settings(inspected)

    assert [one.level for one in findings] == [Level.BAD, Level.BAD, Level.WARNING]
    assert findings[0].sentence.startswith("LOG_LEVEL must be one of")
    assert "SLACK_WEBHOOK_URL" in findings[2].sentence
    assert (inspected.settings.host, inspected.settings.port) == ("0.0.0.0", 3001)
    assert inspected.unusable == {"PORT", "LOG_LEVEL"}
    assert "geheim" not in str(findings)


def test_a_secret_whose_file_is_not_there_counts_as_unusable(tmp_path: Path) -> None:
    inspected = inspect_settings({"DATABASE_URL_FILE": str(tmp_path / "none"), "ENCRYPTION_KEY": "A" * 43 + "="}, None)

    assert inspected.unusable == {"DATABASE_URL"}
    assert inspected.settings.database_url is None


def test_a_public_address_without_tls_is_a_warning() -> None:
    plain = check_settings(inspect_settings({"PUBLIC_URL": "http://licenses.example"}, None))
    secure = check_settings(inspect_settings({"PUBLIC_URL": "https://licenses.example"}, None))

    assert by_check(plain)["public_url"].level is Level.WARNING
    assert "public_url" not in by_check(secure)


def test_secrets_that_others_can_read_are_told_and_the_actions_close_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    key, env = tmp_path / "encryption.key", tmp_path / ".env"
    for path in (key, env):
        path.write_text("secret")
        path.chmod(0o644)

    found = by_check(check_files(settings_with(data_dir=tmp_path)))
    key.chmod(0o600)
    env.chmod(0o600)
    mended = by_check(check_files(settings_with(data_dir=tmp_path)))

    assert (found["encryption_key_file"].level, found["encryption_key_file"].action) == (Level.BAD, f"chmod 600 {key}")
    assert (found["env_file"].level, found["env_file"].action) == (Level.WARNING, "chmod 600 .env")
    assert not {"encryption_key_file", "env_file"} & set(mended)
    assert "copy" in str(mended["encryption_key_copy"].action)


def test_a_data_dir_that_is_a_file_is_bad_and_one_that_is_missing_is_not(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    wrong = by_check(check_files(settings_with(data_dir=tmp_path / "file")))["data_dir"]
    missing = by_check(check_files(settings_with(data_dir=tmp_path / "later" / "data")))

    assert (wrong.level, missing["data_dir"].level) == (Level.BAD, Level.GOOD)
    assert not (tmp_path / "later").exists()
    assert missing["disk"].sentence.endswith(f"free at {tmp_path}.")


@pytest.mark.parametrize("name", ["data_dir", "archive_dir", "backup_dir"])
def test_every_disk_that_the_server_writes_to_is_looked_at(tmp_path: Path, name: str) -> None:
    elsewhere = dict.fromkeys(("data_dir", "archive_dir", "backup_dir"), tmp_path) | {name: Path("/proc")}

    found = check_disks(settings_with(**elsewhere))

    assert sorted(one.sentence.partition(" free at ")[2] for one in found) == sorted([f"{tmp_path}.", "/proc."])


async def test_a_port_is_free_or_taken_by_something_else_or_ours(live_server: LiveServer) -> None:
    free = await check_port(settings_with(port=free_port()))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        taken = await check_port(settings_with(port=silent.getsockname()[1]))
    ours = await check_port(settings_with(port=live_server.port))

    assert [free[0].level, taken[0].level, ours[0].level] == [Level.GOOD, Level.BAD, Level.GOOD]
    assert f"The server runs at http://127.0.0.1:{live_server.port}." == ours[0].sentence
    assert await check_port(settings_with(port=0)) == []
