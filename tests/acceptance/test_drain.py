"""Stopping under load fails no request."""

from __future__ import annotations

import asyncio
import signal
import socket
import time

import httpx
import pytest

from tests.acceptance.load import Load, half_asked
from tests.live import LiveServer, wait_until

pytestmark = pytest.mark.acceptance


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_sigterm_under_load_fails_no_request(stopped_server: LiveServer, workers: str) -> None:
    server = stopped_server
    server.environment |= {"DRAIN_SECONDS": "2", "WEB_CONCURRENCY": workers, "DATABASE_POOL_SIZE": "3"}
    server.start()
    await asyncio.to_thread(server.wait_until_ready)
    load = Load(server.port)
    crowd = asyncio.create_task(load.run(clients=20))
    await asyncio.to_thread(wait_until, lambda: load.statuses[200] >= 400, "the crowd is served")

    server.process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(wait_until, lambda: _readiness(server) == 503, "readiness is 503")
    await asyncio.wait_for(crowd, 30)

    assert await asyncio.to_thread(server.wait_for_end) == 0
    assert load.lost == []
    assert set(load.statuses) == {200}
    assert load.told_to_close > 20
    assert "Traceback" not in server.stderr()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_idle_connections_do_not_hold_the_stop_up(stopped_server: LiveServer, workers: str) -> None:
    stopped_server.environment["WEB_CONCURRENCY"] = workers
    stopped_server.start()
    stopped_server.wait_until_ready()
    with httpx.Client(base_url=stopped_server.url) as used, _connection(stopped_server):
        used.get("/livez")
        began_at = time.monotonic()

        assert stopped_server.stop(signal.SIGTERM) == 0

    assert time.monotonic() - began_at < 12


def test_a_request_under_way_at_the_end_of_the_drain_is_finished(stopped_server: LiveServer) -> None:
    stopped_server.start()
    stopped_server.wait_until_ready()
    with half_asked(stopped_server.port) as connection:
        stopped_server.process.send_signal(signal.SIGTERM)
        stopped_server.wait_until_said("Waiting for connections to close")
        connection.sendall(b'"licenseKey": "AAAA-BBBB-CCCC-DDDD-EEEE"}')

        answer = _read_to_end(connection)

    assert answer.startswith(b"HTTP/1.1 200")
    assert b"NOT_FOUND" in answer
    assert stopped_server.wait_for_end() == 0


def test_a_stuck_request_is_cut_after_fifteen_seconds(stopped_server: LiveServer) -> None:
    stopped_server.environment["WEB_CONCURRENCY"] = "2"
    stopped_server.start()
    stopped_server.wait_until_ready()
    with half_asked(stopped_server.port):
        began_at = time.monotonic()

        assert stopped_server.stop(signal.SIGTERM) == 0

    assert 14 < time.monotonic() - began_at < 35
    assert "Traceback" not in stopped_server.stderr()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_second_sigterm_does_not_wait_for_the_drain(stopped_server: LiveServer, workers: str) -> None:
    stopped_server.environment |= {"DRAIN_SECONDS": "60", "WEB_CONCURRENCY": workers}
    stopped_server.start()
    wait_until(lambda: _count(stopped_server, "sys_startup") == int(workers), "every process serves")
    stopped_server.process.send_signal(signal.SIGTERM)
    wait_until(lambda: _count(stopped_server, "drain") == int(workers), "every process drains")
    began_at = time.monotonic()

    assert stopped_server.stop(signal.SIGTERM) == 0

    assert time.monotonic() - began_at < 20


def _count(server: LiveServer, event: str) -> int:
    return sum(line["event"] == event for line in server.lines())


def _readiness(server: LiveServer) -> int:
    return httpx.get(f"{server.url}/readyz").status_code


def _connection(server: LiveServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def _read_to_end(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))
