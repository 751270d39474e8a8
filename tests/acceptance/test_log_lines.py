"""Every line of a whole server life is one JSON object; on a terminal it is readable and coloured."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import httpx
import pytest

from tests.live import LiveServer, wait_until

pytestmark = pytest.mark.acceptance

GARBAGE = [
    b"\x16\x03\x01\x02\x00\x01\x00\xff\xfe\n\n",
    b"GET /\x00\x1b[31m HTTP/9.9\r\n\r\n",
    b"\r\n\r\n\r\n",
    b"A" * 70_000,
]


@pytest.mark.parametrize(("workers", "level"), [("1", "verbose"), ("2", "info")])
def test_every_line_of_a_server_life_is_json(embedded_server: LiveServer, workers: str, level: str) -> None:
    server = embedded_server
    server.environment |= {"WEB_CONCURRENCY": workers, "LOG_LEVEL": level}
    server.start()
    server.wait_until_ready()
    for garbage in GARBAGE:
        _send(server, garbage)
    for path in ("/nothing?token=itsk_secret", "/%0a%0d%1b[31m", "/" + "x" * 5000):
        assert server.client.get(path).status_code == 404
    broken = server.client.post(
        "/api/licenses/validate", content=b"{not json", headers={"Content-Type": "application/json"}
    )
    assert broken.status_code == 400
    assert server.client.post("/api/auth/login", json={"email": "a@b.example", "password": "wrong"}).status_code == 401

    assert server.stop(signal.SIGTERM) == 0

    lines = server.lines()
    for line in lines:
        assert datetime.fromisoformat(line["timestamp"]).utcoffset() is not None
        assert line["level"] in {"ERROR", "WARN", "INFO", "DEBUG", "VERBOSE"}
        assert isinstance(line["message"], str)
        assert isinstance(line["event"], str)
        assert "ip" not in line or list(line)[-1] == "ip"
    assert not [line for line in lines if line["level"] == "ERROR"]
    assert {"sys_startup", "sys_shutdown", "request", "authn_login_fail"} <= {line["event"] for line in lines}
    assert ("DEBUG" in {line["level"] for line in lines}) is (level == "verbose")
    assert "itsk_secret" not in server.stdout_path.read_text()


def test_stderr_holds_only_the_sentences_for_people(stopped_server: LiveServer) -> None:
    stopped_server.start()
    stopped_server.wait_until_ready()
    _send(stopped_server, GARBAGE[0])
    stopped_server.stop()

    address = f"http://localhost:{stopped_server.port}"
    greeting, operator, sign_in, login, hint = stopped_server.stderr().splitlines()
    assert greeting == f"iTechSmart License Server at {address}"
    assert re.fullmatch(r"First operator: admin@example\.com with password \S{24} \(shown only this once\)", operator)
    assert sign_in == "Sign in:"
    assert login.startswith(f"curl -s {address}/api/auth/login ")
    assert hint == f"Try: curl -s {address}/health"


def test_on_a_terminal_the_log_is_coloured_and_readable(stopped_server: LiveServer) -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "serve"],
        cwd=stopped_server.folder,
        env=stopped_server.full_environment() | {"LOG_LEVEL": "verbose"},
        stdout=follower,
        stderr=subprocess.DEVNULL,
    )
    os.close(follower)
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(_read_terminal, leader)
        try:
            wait_until(lambda: _answers(stopped_server), "the server answers")
            stopped_server.client.get("/%1b[31m")
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        text = reading.result(10)

    assert "\x1b[32mINFO   \x1b[0m Server started" in text
    assert "\x1b[36mDEBUG  \x1b[0m GET /livez HTTP/1.1 200" in text
    assert "%1B%5B31m HTTP/1.1 404" in text
    assert re.search(r"^\x1b\[2m\d\d:\d\d:\d\d\.\d{3}\x1b\[0m ", text)


def _send(server: LiveServer, garbage: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=1) as connection:
        connection.sendall(garbage)
        try:
            connection.recv(1000)
        except (TimeoutError, ConnectionResetError):
            return


def _answers(server: LiveServer) -> bool:
    try:
        return httpx.get(f"{server.url}/livez").status_code == 200
    except httpx.TransportError:
        return False


def _read_terminal(leader: int) -> str:
    read = b""
    try:
        while chunk := os.read(leader, 65536):
            read += chunk
    except OSError:  # how Linux says that nobody holds the other side any more
        os.close(leader)
    return read.decode()
