"""`license-server doctor`: it looks at everything, whatever is broken, and ends."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import CommandLine
from tests.live import REPOSITORY, LiveServer, free_port
from tests.tls_host import tls_host

HANGING = """
import asyncio, threading
from app.cli.impatience import run_impatiently

async def ask_who_never_answers():
    try:
        await asyncio.wait_for(asyncio.to_thread(threading.Event().wait), 0.1)
    except TimeoutError:
        return "given up"

print(run_impatiently(ask_who_never_answers()))
"""


@pytest.fixture
def embedded() -> Iterator[LiveServer]:
    """A migrated installation with a PostgreSQL of its own that does not run, outside of pytest's closed folders."""
    with tempfile.TemporaryDirectory(prefix="lsd-") as folder:
        server = LiveServer(Path(folder), {}, free_port())
        server.json("migrate")
        yield server


def levels(document: Any) -> dict[str, str]:
    return {one["check"]: one["level"] for one in document["findings"]}


def test_a_healthy_installation_has_only_what_the_tests_leave_out(cli: CommandLine) -> None:
    cli.server.command("migrate")

    document = cli.json("doctor", status=1)

    assert {check for check, level in levels(document).items() if level == "bad"} == {"database_durability"}
    assert document["level"] == "bad"
    assert {"settings", "disk", "port", "database_schema", "clock", "tools", "last_vacuum"} <= set(levels(document))
    assert all(one["action"] for one in document["findings"] if one["level"] != "good")


def test_people_read_words_and_the_action_whole(cli: CommandLine) -> None:
    ran = cli.server.command("doctor")

    lines = ran.stdout.splitlines()
    assert (ran.returncode, ran.stderr) == (1, "")
    assert any(line.startswith("good") for line in lines)
    assert "  → ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf();" in lines
    assert re.fullmatch(r"Overall bad: \d+ bad, \d+ warning, \d+ unavailable, \d+ good\.", lines[-1])


def test_wrong_settings_are_findings_and_the_rest_goes_on(cli: CommandLine) -> None:
    cli.server.environment |= {"LOG_LEVEL": "loud", "SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(free_port())}

    found = levels(cli.json("doctor", status=1))

    assert (found["settings"], found["mail_server"], found["database_schema"]) == ("bad", "bad", "good")


def test_a_wrong_address_of_the_database_leads_to_no_other_one(tmp_path: Path) -> None:
    environment = {"DATABASE_URL": "postgresql://u:geheim@host"}
    ran = LiveServer(tmp_path, environment, free_port()).command("doctor", "--json")

    assert ran.returncode == 1
    assert '"unavailable"' in ran.stdout
    assert "geheim" not in ran.stdout + ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_an_installation_nothing_is_made(tmp_path: Path) -> None:
    document = LiveServer(tmp_path, {}, free_port()).json("doctor")

    assert levels(document)["installation"] == "warning"
    assert list(tmp_path.iterdir()) == []


def test_when_everything_hangs_it_ends_within_fifteen_seconds(cli: CommandLine) -> None:
    with tls_host(None) as silent:
        host, _, port = silent.partition(":")
        cli.server.environment |= {
            "DATABASE_URL": f"postgresql://u:geheim@{silent}/x",
            "SMTP_HOST": host,
            "SMTP_PORT": port,
            "REDIS_URL": f"redis://:geheim@{silent}",
            "PORT": port,
            "TLS_PROBE_HOSTS": ",".join([silent, *(f"127.0.0.{number}:{port}" for number in range(2, 14))]),
        }
        began_at = time.monotonic()
        ran = cli.server.command("doctor", "--json")

    assert time.monotonic() - began_at < 15
    assert ran.returncode == 1
    assert "geheim" not in ran.stdout + ran.stderr


def test_the_embedded_database_is_started_for_it_and_stopped_again(embedded: LiveServer) -> None:
    document = embedded.json("doctor")

    assert (levels(document)["database_schema"], levels(document)["database_grants"]) == ("good", "good")
    assert embedded.postgres_processes() == []


def test_a_key_that_is_lost_is_told_and_none_is_made(embedded: LiveServer) -> None:
    key = embedded.folder / "data" / "encryption.key"
    key.unlink()

    ran = embedded.command("doctor", "--json")

    assert ran.returncode == 1
    assert "encryption.key is missing" in ran.stdout
    assert not key.exists()


def test_a_command_that_has_said_everything_waits_for_no_thread() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", HANGING], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True
    )

    assert ran.stdout == "given up\n"
