"""A backup over HTTP."""

from __future__ import annotations

import httpx
from fastapi import FastAPI

from app.domain.runs import MutexGroup
from app.runner import do_queued
from tests.web.problem import read_problem


async def test_a_wish_becomes_a_backup_once(api: httpx.AsyncClient, app: FastAPI) -> None:
    key = {"Idempotency-Key": "tonight"}
    response = await api.post("/admin/maintenance/backup", json={"pin": True, "note": "before 2.0"}, headers=key)
    again = await api.post("/admin/maintenance/backup", json={"pin": True, "note": "before 2.0"}, headers=key)
    await do_queued(app.state.runtime, MutexGroup.BACKUPS)
    run = (await api.get(response.headers["location"])).json()

    assert (response.status_code, again.json()["id"]) == (202, run["id"])
    assert (run["status"], run["failure"]) == ("succeeded", None)
    assert run["result"]["stores"] == ["local"]


async def test_a_second_wish_is_told_of_the_first(api: httpx.AsyncClient) -> None:
    await api.post("/admin/maintenance/backup")

    read_problem(await api.post("/admin/maintenance/backup"), 409, "RUN_UNDER_WAY")
