"""Verification of a backup over HTTP: from the wish to a backup that is proven."""

from __future__ import annotations

import httpx
import psycopg
from fastapi import FastAPI

from app.domain.maintenance import BackupOptions
from app.domain.permissions import COMMAND_LINE
from app.domain.runs import MutexGroup, RunKind, RunTrigger
from app.runner import do_at_once, do_queued
from app.services.runs import RequestRun
from tests.web.problem import read_problem

NOBODYS = "01890a5d-ac96-774b-bcce-b302099a8057"


async def test_a_wish_becomes_a_run_that_proves_the_backup(
    api: httpx.AsyncClient, app: FastAPI, fresh_database: str
) -> None:
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        backup_id = await _make_backup(app)
        response = await api.post(f"/admin/backups/{backup_id}/verify")
        assert response.status_code == 202, response.text
        await do_queued(app.state.runtime, MutexGroup.BACKUPS)
        run = (await api.get(response.headers["location"])).json()
        found = connection.execute("SELECT status FROM backups").fetchall()

    assert (run["kind"], run["status"], run["failure"]) == ("verify", "succeeded", None)
    assert run["options"] == {"backup": backup_id}
    assert all(check["ok"] for check in run["result"]["checks"])
    assert found == [("verified",)]


async def test_what_can_not_be_verified_is_refused_at_once(
    api: httpx.AsyncClient, app: FastAPI, fresh_database: str
) -> None:
    missing = await api.post(f"/admin/backups/{NOBODYS}/verify")
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        backup_id = await _make_backup(app)
        connection.execute("UPDATE backups SET status = 'expired'")
    expired = await api.post(f"/admin/backups/{backup_id}/verify")

    read_problem(missing, 404, "BACKUP_NOT_FOUND")
    read_problem(expired, 409, "BACKUP_STATE_CONFLICT")


async def _make_backup(app: FastAPI) -> str:
    """The id of a new backup."""
    wish = RequestRun(RunKind.BACKUP, BackupOptions(), RunTrigger.COMMAND)
    run = await do_at_once(app.state.runtime, COMMAND_LINE, wish, lambda progress: None)
    assert run.result is not None, run.failure
    return str(run.result["backup"])
