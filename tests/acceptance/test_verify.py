"""Verifications with real processes: killed at any moment they leave nothing, and validations go on beside them."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from app.db.engine import Database
from app.domain.maintenance import BackupOptions
from app.domain.permissions import COMMAND_LINE, Permission
from app.domain.runs import RunKind, RunTrigger
from app.runner import do_at_once
from app.runtime import open_runtime, utc_now
from app.services import api_keys
from app.services.api_keys import CreateApiKey
from app.services.runs import RequestRun
from tests.conftest import ENCRYPTION_KEY, make_settings
from tests.live import LiveServer, wait_until

pytestmark = pytest.mark.acceptance

PHASES = {
    "made": "SELECT count(*) FROM pg_database WHERE datname LIKE %s",
    "restoring": "SELECT count(*) FROM pg_stat_activity WHERE datname LIKE %s AND application_name = 'pg_restore'",
    "examining": "SELECT count(*) FROM pg_stat_activity WHERE datname LIKE %s AND query LIKE '%%hashtextextended%%'",
}
"""What is to be seen of each phase of a trial."""


class Trials:
    """A server's database, and what is to be seen of trials in it."""

    def __init__(self, url: str, server: LiveServer, headers: dict[str, str]) -> None:
        self.url = url
        self.server = server
        self.headers = headers

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a statement."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(statement.encode(), values or None).fetchall()

    def like(self) -> str:
        """What the names of scratch databases are like."""
        [(name,)] = self.rows("SELECT current_database()")
        return f"{name}\\_verify\\_%"

    def is_seen(self, phase: str) -> bool:
        """Whether a trial is in this phase."""
        return bool(self.rows(PHASES[phase], self.like())[0][0])

    def start(self) -> str:
        """The id of a new run that verifies the backup."""
        [(backup_id,)] = self.rows("SELECT id FROM backups")
        address = f"{self.server.url}/admin/backups/{backup_id}/verify"
        response = httpx.post(address, headers=self.headers, timeout=10)
        assert response.status_code == 202, response.text
        run_id: str = response.json()["id"]
        return run_id

    def has_ended(self, run_id: str) -> bool:
        """Whether nobody does the run any more."""
        return self.status(run_id) in ("lost", "cancelled")

    def status(self, run_id: str) -> str:
        """How a run stands."""
        return str(self.rows("SELECT status FROM runs WHERE id = %s", run_id)[0][0])


@pytest.fixture
async def trials(fresh_database: str, stopped_server: LiveServer, tmp_path: Path) -> Trials:
    """A server that is not started yet, with a backup that takes some seconds to restore."""
    database = Database(fresh_database, pool_size=1)
    async with database.transaction() as tx:
        scopes = frozenset({Permission.OPS_READ, Permission.OPS_BACKUP})
        _, secret = await api_keys.create(tx, COMMAND_LINE, CreateApiKey("trials", scopes), now=utc_now())
    await database.close()
    found = Trials(fresh_database, stopped_server, {"X-API-Key": secret})
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO products (id, name) SELECT 'p' || n, md5(n::text) FROM generate_series(1, 200000) n"
        )
    stopped_server.environment |= {"BACKUP_DIR": str(tmp_path / "backups")}
    settings = make_settings(fresh_database, tmp_path, backup_dir=tmp_path / "backups", encryption_key=ENCRYPTION_KEY)
    async with open_runtime(settings, fresh_database) as runtime:
        wish = RequestRun(RunKind.BACKUP, BackupOptions(), RunTrigger.COMMAND)
        run = await do_at_once(runtime, COMMAND_LINE, wish, lambda progress: None)
    assert run.status == "succeeded", run.failure
    return found


def test_a_trial_that_is_killed_or_stopped_at_any_moment_leaves_nothing_and_changes_nothing(trials: Trials) -> None:
    for phase in PHASES:
        for number in (signal.SIGKILL, signal.SIGTERM):
            trials.server.start()
            trials.server.wait_until_ready()
            run_id = trials.start()
            wait_until(partial(trials.is_seen, phase), f"the trial is {phase}", 30)
            trials.server.stop(number)
            trials.server.start()
            trials.server.wait_until_ready()
            wait_until(partial(trials.has_ended, run_id), "the run has ended", 20)
            wait_until(lambda: not trials.is_seen("made"), f"nothing is left of a trial that was {phase}", 20)
            trials.server.stop()
            assert trials.rows("SELECT status FROM backups") == [("stored",)]

    done = trials.server.command("backups", "verify")
    assert done.returncode == 0, done.stderr
    assert "A license was validated" in done.stdout or "There is no license yet." in done.stdout
    assert trials.rows("SELECT status FROM backups") == [("verified",)]


def test_validations_go_on_beside_a_trial(trials: Trials) -> None:
    with trials.server:
        with _validating(trials.server.url) as before:
            time.sleep(2)
        with _validating(trials.server.url) as during:
            run_id = trials.start()
            wait_until(lambda: trials.status(run_id) not in ("queued", "running"), "the run has ended", 180)
        assert trials.rows("SELECT status, failure FROM runs WHERE id = %s", run_id) == [("succeeded", None)]

    sys.stderr.write(f"before {_told(before)}, during {_told(during)}\n")
    assert len(during) > 20
    assert sorted(during)[len(during) * 95 // 100] < 1.0


@contextmanager
def _validating(url: str) -> Iterator[list[float]]:
    """A client that validates until the block is left; the seconds of each answer, also when the block fails."""
    seconds, stop = list[float](), threading.Event()
    client = threading.Thread(target=_validate, args=(url, seconds, stop))
    client.start()
    try:
        yield seconds
    finally:
        stop.set()
        client.join()


def _validate(url: str, seconds: list[float], stop: threading.Event) -> None:
    with httpx.Client(base_url=url, timeout=10) as client:
        while not stop.is_set():
            began_at = time.perf_counter()
            answer = client.post("/api/licenses/validate", json={"licenseKey": "AAAA-BBBB-CCCC-DDDD-EEEE"})
            assert answer.status_code == 200
            seconds.append(time.perf_counter() - began_at)
            time.sleep(0.005)


def _told(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    p50, p99 = ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
    return f"{len(ordered)}: p50 {p50 * 1000:.1f} p99 {p99 * 1000:.1f} max {ordered[-1] * 1000:.1f} ms"
