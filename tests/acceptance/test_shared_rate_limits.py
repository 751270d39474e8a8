"""Two servers with one Valkey: one limit together, exactly, and neither stops when the Valkey does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.acceptance.conftest import database_settings
from tests.live import LiveServer, free_port, wait_until
from tests.valkey import LiveValkey

pytestmark = pytest.mark.acceptance

QUESTION = {"licenseKey": "AAAA-BBBB-CCCC-DDDD-EEEE"}


@pytest.fixture
def replicas(fresh_database: str, tmp_path: Path, valkey: LiveValkey) -> Iterator[list[LiveServer]]:
    """Two servers that take 50 validations an hour from one address, together."""
    limits = {"REDIS_URL": valkey.url, "RATE_LIMIT_VALIDATE": "50/hour"}
    servers = []
    for name in ("one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        servers.append(LiveServer(folder, database_settings(fresh_database, **limits), free_port()))
    with servers[0], servers[1]:
        yield servers


def ask_all(servers: list[LiveServer], times: int) -> list[int]:
    """The statuses of parallel validations, in turn at each of the servers."""

    def ask(number: int) -> int:
        url = f"{servers[number % len(servers)].url}/api/licenses/validate"
        return httpx.post(url, json=QUESTION, timeout=10).status_code

    with ThreadPoolExecutor(16) as threads:
        return list(threads.map(ask, range(times)))


def last_event(server: LiveServer) -> str:
    told: list[str] = [line["event"] for line in server.lines() if line["event"].startswith("rate_limit_store")]
    return told[-1] if told else ""


def test_two_servers_share_one_limit_exactly(replicas: list[LiveServer]) -> None:
    answers = ask_all(replicas, 80)

    assert (answers.count(200), answers.count(429)) == (50, 30)


def test_a_store_that_hangs_or_stops_holds_no_request_up(replicas: list[LiveServer], valkey: LiveValkey) -> None:
    assert ask_all(replicas, 10) == [200] * 10

    valkey.pause()
    started_at = time.monotonic()
    paused = ask_all(replicas, 20)
    seconds = time.monotonic() - started_at
    valkey.resume()
    wait_until(lambda: all("back" in last_event(server) for server in replicas), "both found the store again")

    assert paused == [200] * 20
    assert seconds < 15

    valkey.stop()
    alone = ask_all(replicas, 200)
    assert alone.count(200) <= 100
    assert alone.count(429) >= 100

    valkey.start()
    wait_until(lambda: all("back" in last_event(server) for server in replicas), "both found the new store")
    assert set(ask_all(replicas, 4)) <= {200, 429}


def test_several_processes_without_a_store_are_warned_of(stopped_server: LiveServer) -> None:
    stopped_server.environment |= {"WEB_CONCURRENCY": "2", "RATE_LIMIT_LOGIN": "5/minute"}
    stopped_server.start()
    stopped_server.wait_until_ready()

    [line] = [line for line in stopped_server.lines() if line["event"] == "rate_limits_not_shared"]
    assert (line["level"], line["processes"]) == ("WARN", 2)
    assert "REDIS_URL" in line["message"]


def test_a_store_address_that_cannot_be_used_stops_the_start_with_a_sentence(stopped_server: LiveServer) -> None:
    stopped_server.environment["REDIS_URL"] = "redis://:secret@127.0.0.1/0?nonsense=1"
    stopped_server.start()

    assert stopped_server.wait_for_end() == 1
    assert "REDIS_URL must be" in stopped_server.stderr()
    assert "secret" not in stopped_server.stderr()
    assert "Traceback" not in stopped_server.stderr()
