"""Several server processes: counted together, replaced when they die, stopped together."""

from __future__ import annotations

import signal

import httpx
import pytest

from tests.live import LiveServer, wait_until

pytestmark = pytest.mark.acceptance

QUESTION = {"licenseKey": "AAAA-BBBB-CCCC-DDDD-EEEE"}
SERIES = 'license_server_validations_total{code="NOT_FOUND"}'


def test_two_workers_count_exactly_also_when_one_is_killed_and_replaced(embedded_server: LiveServer) -> None:
    server = embedded_server
    server.environment["WEB_CONCURRENCY"] = "2"
    server.start()
    server.wait_until_ready()
    wait_until(lambda: _count_starts(server) == 2, "both workers serve")

    _validate_on_new_connections(server, 60)
    assert [_samples(server)[SERIES] for _ in range(6)] == [60.0] * 6

    victim = server.children()[0]
    victim.kill()
    wait_until(lambda: _count_starts(server) == 3, "a new worker serves")
    _validate_on_new_connections(server, 40)
    samples = [_samples(server) for _ in range(6)]

    assert [sample[SERIES] for sample in samples] == [100.0] * 6
    assert len(server.children()) == 2
    assert victim.pid not in [child.pid for child in server.children()]
    assert samples[0]["process_resident_memory_bytes"] > 50_000_000
    cpu = [sample["process_cpu_seconds_total"] for sample in samples]
    assert cpu == sorted(cpu)
    assert server.stop(signal.SIGTERM) == 0
    assert server.postgres_processes() == []
    [crash] = [line for line in server.lines() if line["level"] not in ("INFO", "DEBUG")]
    assert (crash["level"], crash["event"], crash["pid"]) == ("WARN", "sys_crash", victim.pid)
    assert "Traceback" not in server.stderr()


def test_workers_end_when_their_supervisor_is_killed(stopped_server: LiveServer) -> None:
    stopped_server.environment |= {"WEB_CONCURRENCY": "2", "DRAIN_SECONDS": "60"}
    stopped_server.start()
    stopped_server.wait_until_ready()
    wait_until(lambda: _count_starts(stopped_server) == 2, "both workers serve")
    workers = stopped_server.children()

    stopped_server.process.kill()

    wait_until(lambda: not any(worker.is_running() for worker in workers), "the workers end", seconds=20)


def _count_starts(server: LiveServer) -> int:
    return sum(line["event"] == "sys_startup" for line in server.lines())


def _validate_on_new_connections(server: LiveServer, times: int) -> None:
    for _ in range(times):
        response = httpx.post(f"{server.url}/api/licenses/validate", json=QUESTION)
        assert response.json()["code"] == "NOT_FOUND"


def _samples(server: LiveServer) -> dict[str, float]:
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}
