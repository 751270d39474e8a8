"""While releases change there are runs of kinds and statuses that this one does not know: it copes with them."""

from __future__ import annotations

import httpx
import psycopg
from fastapi import FastAPI

from app.runner import bury_lost
from app.runtime import Runtime
from tests.web.admin.test_runs import start, take
from tests.web.logs import LogLines
from tests.web.problem import read_problem


def make_strange(url: str, changes: str) -> None:
    """Change all runs to what a newer release may write."""
    with psycopg.connect(url) as connection:
        for name in ("kind", "status", "trigger"):
            connection.execute(f"ALTER TABLE runs DROP CONSTRAINT ck_runs_{name}".encode())
        connection.execute(f"UPDATE runs SET {changes}".encode())


async def test_runs_of_unknown_kind_and_status_are_shown_as_they_are(
    api: httpx.AsyncClient, fresh_database: str
) -> None:
    run = await start(api)
    make_strange(
        fresh_database, "kind = 'defrag', status = 'suspended', trigger = 'oracle', schedule = 'weekly-vacuum'"
    )

    shown = (await api.get(f"/admin/runs/{run['id']}")).json()

    assert (shown["kind"], shown["status"], shown["trigger"]) == ("defrag", "suspended", "oracle")
    assert [one["id"] for one in (await api.get("/admin/runs")).json()["items"]] == [run["id"]]
    assert (await api.get("/admin/schedules/weekly-vacuum")).json()["lastRun"]["status"] == "suspended"


async def test_a_run_of_unknown_kind_excludes_others_and_can_be_cancelled(
    api: httpx.AsyncClient, fresh_database: str
) -> None:
    run = await start(api)
    make_strange(fresh_database, "kind = 'defrag'")

    problem = read_problem(await api.post("/admin/maintenance/vacuum"), 409, "RUN_UNDER_WAY")

    assert problem["detail"] == f"The run {run['id']} (defrag) is under way; wait for it, or cancel it."
    assert (await api.post(f"/admin/runs/{run['id']}/cancel")).json()["status"] == "cancelled"


async def test_a_lost_run_of_unknown_kind_keeps_nobody_from_its_turn(
    api: httpx.AsyncClient, app: FastAPI, fresh_database: str, log_lines: LogLines
) -> None:
    runtime: Runtime = app.state.runtime
    run = await start(api)
    await take(app, run["id"])
    make_strange(fresh_database, "kind = 'defrag'")

    await bury_lost(runtime, patience=0.01)

    assert (await api.get(f"/admin/runs/{run['id']}")).json()["status"] == "lost"
    [line] = [line for line in log_lines.read() if line["event"] == "run_clean_up_failed"]
    assert (line["level"], line["reason"]) == ("WARN", "this release does not know its kind")
    await start(api, "vacuum")
