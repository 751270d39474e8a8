"""Stories of restores: under load on two servers, and into a fresh installation from the stores alone."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from app.domain.maintenance import BackupOptions
from app.domain.permissions import COMMAND_LINE
from app.domain.runs import RunKind, RunStatus, RunTrigger
from app.runner import do_at_once
from app.runtime import database_url, open_runtime
from app.services.runs import RequestRun
from app.settings import Settings
from tests.acceptance.conftest import database_settings
from tests.acceptance.test_postgres_versions import issue, validate
from tests.conftest import make_settings
from tests.live import LiveServer, free_port, wait_until

pytestmark = pytest.mark.acceptance


class Client:
    """Validates again and again, and counts what it sees; `longest` is the longest time in seconds without VALID."""

    def __init__(self, url: str, license_key: str) -> None:
        self.seen: Counter[str] = Counter()
        self.longest = 0.0
        self._wish = {"licenseKey": license_key, "machineId": "one"}
        self._url = url
        self._stopped = threading.Event()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Meanwhile it asks."""
        thread = threading.Thread(target=self._ask)
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()

    def _ask(self) -> None:
        valid_at = time.monotonic()
        with httpx.Client(base_url=self._url, timeout=30) as client:
            while not self._stopped.is_set():
                self.seen[self._answer(client)] += 1
                if self.last == "VALID":
                    self.longest = max(self.longest, time.monotonic() - valid_at)
                    valid_at = time.monotonic()

    def _answer(self, client: httpx.Client) -> str:
        try:
            answer = client.post("/api/licenses/validate", json=self._wish)
        except httpx.TransportError as error:
            self.last = type(error).__name__
            return self.last
        has_hint = "retry-after" in answer.headers
        self.last = answer.json()["code"] if answer.status_code == 200 else f"{answer.status_code} {has_hint}"
        return self.last


def back_up(settings: Settings) -> str:
    """A backup that is made beside the servers; its id."""

    async def make(url: str) -> str:
        async with open_runtime(settings, url) as runtime:
            wish = RequestRun(RunKind.BACKUP, BackupOptions(), RunTrigger.COMMAND)
            run = await do_at_once(runtime, COMMAND_LINE, wish, lambda progress: None)
        assert run.status == RunStatus.SUCCEEDED, run.failure
        assert run.result is not None
        return str(run.result["backup"])

    with database_url(settings) as url:
        return asyncio.run(make(url))


def ended(server: LiveServer, run_id: str) -> Any:
    """The run at its end; whoever follows it outlasts the moment of the swap."""
    followed = server.command("runs", "follow", run_id, "--json")
    assert followed.returncode == 0, followed.stdout + followed.stderr
    return server.json("runs", "show", run_id)


@pytest.fixture
def live(fresh_database: str) -> Iterator[str]:
    """The name of the live database; what was put away for it is dropped."""
    name = fresh_database.partition("?")[0].rpartition("/")[2]
    yield name
    with psycopg.connect(fresh_database.replace(f"/{name}?", "/postgres?"), autocommit=True) as connection:
        found = connection.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [f"{name}_"])
        for (left,) in found.fetchall():
            connection.execute(f'DROP DATABASE "{left}" WITH (FORCE)'.encode())


def test_clients_of_two_servers_see_a_restore_and_a_rollback_as_a_moment_without_answers(
    fresh_database: str, live: str, tmp_path: Path
) -> None:
    environment = database_settings(fresh_database, BACKUP_DIR=str(tmp_path / "backups"))
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    settings = make_settings(fresh_database, folders[0], backup_dir=tmp_path / "backups")
    with (
        LiveServer(folders[0], environment, free_port()) as one,
        LiveServer(folders[1], environment, free_port()) as two,
    ):
        license_key = issue(one)
        backup = back_up(settings)
        secret = one.json("api-keys", "create", "--name", "r", "--scope", "ops:restore", "--scope", "ops:read")
        headers = {"X-API-Key": secret["apiKey"]}
        clients = [Client(server.url, license_key) for server in (one, two)]

        path = f"/admin/backups/{backup}/restore"
        with clients[0].at_work(), clients[1].at_work():
            asked = one.client.post(path, json={"confirm": live, "force": True}, headers=headers)
            assert asked.status_code == 202, asked.text
            restored = ended(two, asked.json()["id"])
            wait_until(lambda: validate(two, license_key, "one") == "VALID", "the second server goes on")

        away = one.json("restore", "list")["items"]
        with clients[0].at_work():
            rolled_back = one.json("restore", "rollback", "--confirm", live)
        key_is_back = one.client.get("/admin/restores", headers=headers)

    assert restored["status"] == "succeeded", restored
    assert [one["name"] for one in away] == [restored["result"]["putAway"]]
    assert rolled_back["status"] == "succeeded", rolled_back
    assert key_is_back.status_code == 200
    for client in clients:
        assert client.seen.keys() <= {"VALID", "503 True"}, client.seen
        assert client.seen["VALID"] > 20
        assert client.last == "VALID"
        assert client.longest < 5


def test_a_wrong_name_an_unproven_backup_and_an_unknown_one_are_refused_at_the_door(
    fresh_database: str, live: str, tmp_path: Path
) -> None:
    environment = database_settings(fresh_database, BACKUP_DIR=str(tmp_path / "backups"))
    backup = back_up(make_settings(fresh_database, tmp_path, backup_dir=tmp_path / "backups"))
    with LiveServer(tmp_path, environment, free_port()) as server:
        secret = server.json("api-keys", "create", "--name", "r", "--scope", "ops:restore", "--scope", "ops:read")

        def ask(path: str, **wish: object) -> tuple[int, str]:
            answer = server.client.post(path, json=wish, headers={"X-API-Key": secret["apiKey"]})
            return answer.status_code, answer.json()["code"]

        path = f"/admin/backups/{backup}/restore"
        unknown = "/admin/backups/00000000-0000-7000-8000-000000000000/restore"
        assert ask(path, confirm="x") == (422, "CONFIRMATION_MISMATCH")
        assert ask(path, confirm=live) == (409, "BACKUP_UNPROVEN")
        assert ask(unknown, confirm=live) == (404, "BACKUP_NOT_FOUND")
        assert ask("/admin/restores/rollback", confirm=live) == (404, "PUT_AWAY_DATABASE_NOT_FOUND")
        discarded = server.client.delete("/admin/restores/postgres", headers={"X-API-Key": secret["apiKey"]})
        assert (discarded.status_code, discarded.json()["code"]) == (404, "PUT_AWAY_DATABASE_NOT_FOUND")


def test_a_fresh_installation_is_made_of_a_backup_and_the_key_alone(
    embedded_server: LiveServer, tmp_path: Path
) -> None:
    backups = tmp_path / "backups"
    embedded_server.environment["BACKUP_DIR"] = str(backups)
    data = tmp_path / "data"
    with embedded_server:
        license_key = issue(embedded_server)
        key = (data / "encryption.key").read_text().strip()
        backup = embedded_server.json("backup")["result"]["backup"]
    shutil.rmtree(data)

    without_key = embedded_server.command("restore", "--confirm", "itechsmart_licenses")
    assert (without_key.returncode, data.exists()) == (1, False), without_key.stderr
    assert "Put the encryption key back first" in without_key.stderr
    data.mkdir()
    (data / "encryption.key").write_text(key + "\n")
    unconfirmed = embedded_server.command("restore", "--confirm", "something")
    assert (unconfirmed.returncode, "CONFIRMATION_MISMATCH" in unconfirmed.stderr) == (1, True)
    restored = embedded_server.json("restore", "--confirm", "itechsmart_licenses")

    assert (restored["backup"], restored["putAway"]) == (backup, None)
    with LiveServer(tmp_path, embedded_server.environment, free_port()) as server:
        assert validate(server, license_key, "one") == "VALID"
        shown = server.json("restore", "list")["items"]
        made = server.json("runs", "list", "--kind", "backup")["items"]
        found = server.command("database", "overview").stdout
    assert shown == []
    assert [(run["status"], run["failure"]) for run in made] == [("succeeded", None)]
    assert "failed_backups" not in found


def test_a_database_that_is_gone_or_broken_is_restored_by_command(
    fresh_database: str, live: str, tmp_path: Path
) -> None:
    environment = database_settings(fresh_database, BACKUP_DIR=str(tmp_path / "backups"))
    server = LiveServer(tmp_path, environment, free_port())
    with server:
        license_key = issue(server)
    back_up(make_settings(fresh_database, tmp_path, backup_dir=tmp_path / "backups"))
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("DROP TABLE alembic_version, licenses CASCADE")

    unproven = server.command("restore", "--confirm", live)
    broken = server.json("restore", "--confirm", live, "--force")

    assert "BACKUP_UNPROVEN" in unproven.stderr
    assert broken["putAway"].startswith(f"{live}_before_")
    listed = server.command("restore", "list").stdout
    assert any(line.startswith(broken["putAway"] + " ") for line in listed.splitlines())
    assert max(map(len, listed.splitlines())) <= 80
    postgres = fresh_database.replace(f"/{live}?", "/postgres?")
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{live}" WITH (FORCE)'.encode())
    gone = server.command("restore", "--confirm", live)
    assert gone.returncode == 0, gone.stderr
    assert "All indexes are valid." in gone.stdout
    assert "[{" not in gone.stdout
    with LiveServer(tmp_path, environment, free_port()) as after:
        assert validate(after, license_key, "one") == "VALID"
