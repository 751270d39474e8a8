"""Runs with real processes: done once, cancelled, watched, and never in the way of the next one, whoever dies."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from app.db.engine import Database
from app.domain.permissions import COMMAND_LINE, Permission
from app.runtime import utc_now
from app.services import api_keys
from app.services.api_keys import CreateApiKey
from tests.acceptance.conftest import database_settings
from tests.db.stoppable import Stoppable
from tests.live import LiveServer, free_port, wait_until

pytestmark = pytest.mark.acceptance

SLOW_TABLE = """
    CREATE TABLE public.slow_table (n integer);
    INSERT INTO public.slow_table SELECT generate_series(1, 300);
    CREATE FUNCTION public.nap(n integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
    BEGIN
        IF current_setting('application_name') = 'license-server-maintenance' THEN
            PERFORM pg_sleep(0.1);
        END IF;
        RETURN n;
    END $$;
    CREATE INDEX slow_index ON public.slow_table (public.nap(n));
"""
"""A table whose ANALYZE takes half a minute: it evaluates what the index is made of."""


class Installation:
    """A database, and what tests ask the servers on it."""

    def __init__(self, url: str, api_key: str) -> None:
        self.url = url
        self.headers = {"X-API-Key": api_key}

    def sql(self, statement: str, *values: object) -> Any:
        """The first row of a statement, if it has any."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchone() if cursor.description else None

    def wish(self, server: LiveServer) -> httpx.Response:
        """Ask for a run."""
        return httpx.post(
            f"{server.url}/admin/maintenance/analyze", json={"force": True}, headers=self.headers, timeout=10
        )

    def start(self, server: LiveServer) -> str:
        """The id of a new run that is under way, in the midst of its statement."""
        response = self.wish(server)
        assert response.status_code == 202, response.text
        run_id: str = response.json()["id"]
        wait_until(lambda: self.backends() == 1, "somebody does the run", 10)
        return run_id

    def status(self, run_id: str) -> tuple[str, str | None]:
        """How the run stands, and why."""
        status, failure = self.sql("SELECT status, failure FROM runs WHERE id = %s", run_id)
        return status, failure

    def owner(self, run_id: str) -> int:
        """The process that does the run."""
        [owner] = self.sql("SELECT owner FROM runs WHERE id = %s", run_id)
        return int(owner.rpartition(":")[2])

    def backends(self) -> int:
        """How many statements of runs are under way on the slow table."""
        question = (
            "SELECT count(*) FROM pg_stat_activity a JOIN pg_locks l USING (pid)"
            " WHERE application_name = 'license-server-maintenance' AND l.relation = 'slow_table'::regclass"
        )
        [found] = self.sql(question)
        return int(found)

    def hurry(self) -> None:
        """From now on runs are quick."""
        self.sql("DROP INDEX slow_index")


@pytest.fixture
async def installation(fresh_database: str) -> Installation:
    return await _install(fresh_database)


@pytest.fixture
def server(installation: Installation, stopped_server: LiveServer) -> LiveServer:
    """A server of that installation, not started yet."""
    return stopped_server


async def _install(url: str) -> Installation:
    database = Database(url, pool_size=1)
    async with database.transaction() as tx:
        scopes = frozenset({Permission.OPS_READ, Permission.OPS_MAINTAIN})
        _, secret = await api_keys.create(tx, COMMAND_LINE, CreateApiKey("runs", scopes), now=utc_now())
    await database.close()
    return Installation(url, secret)


def test_a_wish_is_done_once_and_at_once_and_watched_and_a_stop_cancels_it(
    installation: Installation, server: LiveServer
) -> None:
    server.environment |= {"WEB_CONCURRENCY": "2", "DRAIN_SECONDS": "0"}
    server.start()
    server.wait_until_ready()
    wait_until(lambda: _count(server, "sys_startup") == 2, "both workers serve")

    quick = installation.wish(server).json()["id"]
    wait_until(lambda: installation.status(quick)[0] == "succeeded", "the wish is done", 8)
    wait_until(lambda: _count(server, "run_finished") == 1, "its end is told")

    installation.sql(SLOW_TABLE)
    run_id = installation.start(server)
    path = f"{server.url}/admin/runs/{run_id}/events"
    with httpx.stream("GET", path, headers=installation.headers, timeout=10) as watched:
        lines = watched.iter_lines()
        assert next(lines) == "event: progress"
        assert json.loads(next(lines).removeprefix("data: "))["status"] in ("queued", "running")
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%%-maintenance'"
        installation.sql(end)
        rest = list(lines)
    assert "event: finished" in rest
    status, failure = installation.status(run_id)
    assert status == "failed"
    assert failure is not None
    assert failure.startswith("The database ended the session that did it")

    run_id = installation.start(server)
    with httpx.stream("GET", f"{server.url}/admin/runs/{run_id}/events", headers=installation.headers) as watched:
        began_at = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        rest = list(watched.iter_lines())
    assert {": this server stops, connect again", "event: finished"} & set(rest)
    assert server.wait_for_end() == 0

    assert time.monotonic() - began_at < 12
    assert installation.status(run_id) == ("cancelled", "The process that did it was stopped; start it again.")
    assert _outcomes(server) == ["succeeded", "failed", "cancelled"]
    assert "Traceback" not in server.stderr() + server.stdout_path.read_text()


def test_of_two_servers_one_does_a_run_the_other_cancels_it_and_buries_what_is_lost(
    installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> None:
    installation.sql(SLOW_TABLE)
    with ExitStack() as stack:
        servers = [
            stack.enter_context(
                LiveServer(tmp_path_factory.mktemp("replica"), database_settings(installation.url), free_port())
            )
            for _ in range(2)
        ]
        with ThreadPoolExecutor(12) as crowd:
            answers = list(crowd.map(installation.wish, servers * 6))
        [accepted] = [answer.json() for answer in answers if answer.status_code == 202]
        refused = [answer.json() for answer in answers if answer.status_code == 409]
        assert len(refused) == 11
        assert {(one["code"], one["runId"]) for one in refused} == {("RUN_UNDER_WAY", accepted["id"])}

        run_id = accepted["id"]
        wait_until(lambda: installation.backends() == 1, "somebody does the run", 10)
        doer, other = sorted(servers, key=lambda one: one.process.pid != installation.owner(run_id))
        began_at = time.monotonic()
        cancelled = httpx.post(f"{other.url}/admin/runs/{run_id}/cancel", headers=installation.headers)
        assert cancelled.status_code == 200
        wait_until(lambda: installation.backends() == 0, "its statement is gone", 6)
        wait_until(lambda: installation.status(run_id)[0] == "cancelled", "it is cancelled", 6)
        assert time.monotonic() - began_at < 6
        followed = other.command("runs", "follow", run_id, "--json")
        assert (followed.returncode, json.loads(followed.stdout)["status"]) == (1, "cancelled")

        run_id = installation.start(other)
        doer, other = sorted(servers, key=lambda one: one.process.pid != installation.owner(run_id))
        doer.process.kill()
        wait_until(lambda: installation.status(run_id)[0] == "lost", "the run is lost", 12)
        assert installation.backends() == 0
        installation.hurry()
        run_id = installation.wish(other).json()["id"]
        wait_until(lambda: installation.status(run_id)[0] == "succeeded", "the next one is done", 10)


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_that_is_told_to_stop_cancels_its_run(
    installation: Installation, server: LiveServer, number: signal.Signals, exit_code: int
) -> None:
    installation.sql(SLOW_TABLE)
    with command(server) as running:
        wait_until(lambda: installation.backends() == 1, "the command does its run", 20)
        running.send_signal(number)

        _, said = running.communicate(timeout=60)

    assert running.returncode == exit_code
    assert said == b"Stopped; `license-server runs list` says how the run ended.\n"
    [status, failure] = installation.sql("SELECT status, failure FROM runs")
    assert (status, failure) == ("cancelled", "The process that did it was stopped; start it again.")
    assert installation.backends() == 0


def test_a_command_that_is_killed_is_in_nobodys_way(installation: Installation, server: LiveServer) -> None:
    installation.sql(SLOW_TABLE)
    with command(server) as running:
        wait_until(lambda: installation.backends() == 1, "the command does its run", 20)
        running.kill()
        running.wait(10)
    [run_id] = installation.sql("SELECT id FROM runs")
    wait_until(lambda: installation.backends() == 0, "its session is gone", 10)
    installation.hurry()

    done = server.command("maintenance", "analyze", "--force", "--json")

    assert (done.returncode, json.loads(done.stdout)["status"]) == (0, "succeeded"), done.stderr
    assert installation.status(run_id)[0] == "lost"


@pytest.fixture
async def own_database(tmp_path: Path) -> AsyncIterator[Stoppable]:
    """A PostgreSQL of the test's own, which it may stop and freeze."""
    database = Stoppable(tmp_path / "database")
    yield database
    database.stop()


def test_a_run_whose_database_is_restarted_or_hangs_is_never_stuck(own_database: Stoppable, tmp_path: Path) -> None:
    server = LiveServer(tmp_path, database_settings(own_database.url), free_port())
    with server:
        secret = server.json("api-keys", "create", "--name", "r", "--scope", "ops:read", "--scope", "ops:maintain")
        installation = Installation(own_database.url, secret["apiKey"])
        installation.sql(SLOW_TABLE)
        run_id = installation.start(server)

        own_database.stop()
        own_database.start()

        wait_until(lambda: installation.status(run_id)[0] in ("failed", "lost"), "the run has ended", 10)
        server.wait_until_ready()
        run_id = installation.start(server)
        with own_database.frozen():
            began_at = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - began_at < 25
        assert "Traceback" not in server.stderr() + server.stdout_path.read_text()

        server.start()
        server.wait_until_ready()
        wait_until(lambda: installation.status(run_id)[0] in ("cancelled", "lost"), "the run has ended", 10)
        installation.hurry()
        run_id = installation.wish(server).json()["id"]
        wait_until(lambda: installation.status(run_id)[0] == "succeeded", "the next one is done", 10)


def command(server: LiveServer) -> subprocess.Popen[bytes]:
    """A command that analyzes everything, under way."""
    return subprocess.Popen(
        [sys.executable, "-m", "app", "maintenance", "analyze", "--force"],
        cwd=server.folder,
        env=server.full_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )


def _count(server: LiveServer, event: str) -> int:
    return sum(line["event"] == event for line in server.lines())


def _outcomes(server: LiveServer) -> list[str]:
    return [line["outcome"] for line in server.lines() if line["event"] == "run_finished"]
