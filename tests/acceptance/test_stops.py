"""How the server ends, and what is left: by ctrl-C, by kill -9, and when it cannot start at all."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.acceptance.conftest import database_settings
from tests.acceptance.load import half_asked
from tests.live import LiveServer, free_port, wait_until

pytestmark = pytest.mark.acceptance


def test_ctrl_c_stops_the_server_and_its_postgresql_without_a_traceback(embedded_server: LiveServer) -> None:
    embedded_server.environment["DRAIN_SECONDS"] = "60"
    embedded_server.start()
    embedded_server.wait_until_ready()
    began_at = time.monotonic()

    assert embedded_server.interrupt() == 0

    assert time.monotonic() - began_at < 20
    assert embedded_server.postgres_processes() == []
    assert "Traceback" not in embedded_server.stderr()
    assert "exception" not in "".join(" ".join(line) for line in embedded_server.lines())


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_pressed_twice_still_stops_postgresql(embedded_server: LiveServer, workers: str) -> None:
    embedded_server.environment["WEB_CONCURRENCY"] = workers
    embedded_server.start()
    embedded_server.wait_until_ready()

    wait_until(lambda: embedded_server.stdout_path.read_text().count("sys_startup") == int(workers), "all serve")
    with half_asked(embedded_server.port):
        os.killpg(embedded_server.process.pid, signal.SIGINT)
        embedded_server.wait_until_said("Waiting for connections to close")
        began_at = time.monotonic()
        assert embedded_server.interrupt() == 0

    assert time.monotonic() - began_at < 12
    assert embedded_server.postgres_processes() == []
    assert "Traceback" not in embedded_server.stderr()


@pytest.mark.parametrize(("workers", "with_postmaster"), [("1", True), ("2", False)])
def test_kill_9_loses_nothing_and_the_next_start_needs_no_hand(
    embedded_server: LiveServer, workers: str, with_postmaster: bool
) -> None:
    embedded_server.environment["WEB_CONCURRENCY"] = workers
    embedded_server.start()
    embedded_server.wait_until_ready()
    created = embedded_server.command("products", "create", "kept", "--name", "Kept")
    assert created.returncode == 0, created.stderr

    if with_postmaster:
        embedded_server.postgres_processes()[0].kill()
    embedded_server.process.kill()
    embedded_server.wait_for_end()
    embedded_server.start()
    embedded_server.wait_until_ready()

    assert '"kept"' in embedded_server.command("products", "list", "--json").stdout
    assert embedded_server.stop() == 0
    wait_until(lambda: embedded_server.postgres_processes() == [], "no process of PostgreSQL is left")


def test_a_port_in_use_is_told_in_one_sentence_and_leaves_no_postgresql(embedded_server: LiveServer) -> None:
    with socket.create_server(("127.0.0.1", embedded_server.port)):
        embedded_server.start()

        assert embedded_server.wait_for_end() == 1

    assert embedded_server.stderr() == (
        f"Port {embedded_server.port} on 127.0.0.1 is in use: stop what listens there, or set PORT to another one.\n"
    )
    assert embedded_server.postgres_processes() == []


def test_a_wrong_setting_is_told_in_one_sentence(embedded_server: LiveServer) -> None:
    embedded_server.environment["WEB_CONCURRENCY"] = "many"
    embedded_server.start()

    assert embedded_server.wait_for_end() == 1

    assert embedded_server.stderr() == "WEB_CONCURRENCY must be a whole number from 1 to 64.\n"
    assert embedded_server.stdout_path.read_text() == ""


def test_a_data_folder_that_is_a_file_is_told_in_one_sentence(embedded_server: LiveServer) -> None:
    (embedded_server.folder / "data").write_text("")
    embedded_server.start()

    assert embedded_server.wait_for_end() == 1

    [sentence] = embedded_server.stderr().splitlines()
    assert "DATA_DIR" in sentence


def test_an_unreadable_encryption_key_is_told_in_one_sentence(embedded_server: LiveServer) -> None:
    embedded_server.environment["DATABASE_MIGRATE_ON_START"] = "false"
    (embedded_server.folder / "data").mkdir()
    (embedded_server.folder / "data" / "encryption.key").write_text("nonsense")
    embedded_server.start()

    assert embedded_server.wait_for_end() == 1

    [sentence] = embedded_server.stderr().splitlines()
    assert "encryption.key" in sentence
    assert embedded_server.postgres_processes() == []


def test_a_database_that_is_away_is_waited_for_and_sigterm_ends_the_wait_at_once(tmp_path: Path) -> None:
    nowhere = f"postgresql://user:secret-word@127.0.0.1:{free_port()}/licenses"
    with LiveServerNotReady(tmp_path, database_settings(nowhere), free_port()) as server:
        server.wait_until_said("Waiting for the database")
        began_at = time.monotonic()

        assert server.stop(signal.SIGTERM) == 0

        assert time.monotonic() - began_at < 10
        assert server.stderr() == ""
        assert "Connection refused" in server.lines()[0]["reason"]
        assert "secret-word" not in server.stdout_path.read_text()


def test_a_stop_during_the_start_leaves_no_postgresql(embedded_server: LiveServer) -> None:
    embedded_server.start()
    wait_until(lambda: embedded_server.postgres_processes() != [], "PostgreSQL starts")

    assert embedded_server.stop(signal.SIGTERM) == 0

    wait_until(lambda: embedded_server.postgres_processes() == [], "no process of PostgreSQL is left")
    assert "Traceback" not in embedded_server.stderr()


class LiveServerNotReady(LiveServer):
    """A server that is started and will not become ready."""

    def __enter__(self) -> LiveServer:
        self.start()
        return self


def test_postgresql_that_was_killed_under_the_server_is_started_again(embedded_server: LiveServer) -> None:
    server = embedded_server
    server.start()
    server.wait_until_ready()

    server.postgres_processes()[0].kill()

    wait_until(lambda: server.client.get("/health").status_code == 503, "the outage is seen")
    server.wait_until_ready()
    assert server.client.post("/api/licenses/validate", json={"licenseKey": "unknown"}).json()["code"] == "NOT_FOUND"


def test_a_lost_encryption_key_is_told_and_never_replaced(embedded_server: LiveServer) -> None:
    assert embedded_server.command("migrate").returncode == 0
    key = embedded_server.folder / "data" / "encryption.key"
    key.unlink()

    done = embedded_server.command("licenses", "list")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("and the database beside it needs it: restore it from your copy.\n")
    assert not key.exists()


def test_a_command_in_the_wrong_folder_makes_nothing_there(embedded_server: LiveServer) -> None:
    done = embedded_server.command("licenses", "list")

    assert done.returncode == 1
    assert done.stderr.endswith("go to the server's folder, or set DATA_DIR. (INSTALLATION_NOT_FOUND)\n")
    assert list(embedded_server.folder.iterdir()) == []


def test_of_two_servers_on_one_port_one_serves_and_one_says_why_not(
    fresh_database: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    port = free_port()
    servers = [LiveServer(tmp_path_factory.mktemp("rival"), database_settings(fresh_database), port) for _ in range(2)]
    for server in servers:
        server.start()

    wait_until(lambda: any(server.process.poll() is not None for server in servers), "one gives up")
    [loser] = [server for server in servers if server.process.poll() is not None]
    [winner] = [server for server in servers if server is not loser]
    winner.wait_until_ready()

    assert loser.process.returncode == 1
    assert loser.stderr().startswith(f"Port {port} on 127.0.0.1 is in use: stop what listens there")
    assert winner.stop() == 0
