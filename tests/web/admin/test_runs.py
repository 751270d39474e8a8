"""Maintenance over HTTP: a wish becomes a run, which is done once, watched, cancelled, and accounted for."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from app.db.direct import direct_connection
from app.domain.permissions import Permission
from app.domain.runs import MutexGroup, lock_name_of
from app.runner import bury_lost, direct_url, do_queued
from app.runtime import Runtime
from app.services import runs
from tests.conftest import Clock, make_api_key, make_client
from tests.web.problem import read_problem


async def start(api: httpx.AsyncClient, kind: str = "analyze", **wish: Any) -> dict[str, Any]:
    """The run that a wish becomes."""
    response = await api.post(f"/admin/maintenance/{kind}", json=wish)
    assert response.status_code == 202, response.text
    run: dict[str, Any] = response.json()
    assert response.headers["location"] == f"/admin/runs/{run['id']}"
    return run


async def take(app: FastAPI, run_id: str) -> None:
    """Have somebody take the run who holds no lock, as if it had died since."""
    runtime: Runtime = app.state.runtime
    async with runtime.database.transaction() as tx:
        assert await runs.take(tx, UUID(run_id), "elsewhere:1", now=runtime.now()) is not None


async def events_of(api: httpx.AsyncClient, run_id: str) -> list[tuple[str, str, Any]]:
    """What the audit trail says of the run, oldest first."""
    found = (await api.get("/admin/audit-events", params={"subjectId": run_id})).json()["items"]
    return [(one["event"], one["actor"]["kind"], one["data"].get("status")) for one in reversed(found)]


async def test_a_wish_is_answered_with_a_queued_run_that_is_done_later(
    api: httpx.AsyncClient, app: FastAPI, clock: Clock
) -> None:
    queued = await start(api)
    clock.forward(seconds=2)

    await do_queued(app.state.runtime, MutexGroup.TABLES)

    done = (await api.get(f"/admin/runs/{queued['id']}")).json()
    assert (queued["status"], queued["trigger"], queued["startedAt"], queued["progress"]["percent"]) == (
        "queued",
        "request",
        None,
        0.0,
    )
    assert queued["requestedBy"]["kind"] == "api_key"
    assert (done["status"], done["startedAt"], done["progress"]["percent"]) == (
        "succeeded",
        "2026-03-01T12:00:02.000Z",
        100.0,
    )
    assert await events_of(api, queued["id"]) == [
        ("run.requested", "api_key", None),
        ("run.finished", "api_key", "succeeded"),
    ]
    assert [one["id"] for one in (await api.get("/admin/runs?kind=analyze&status=succeeded")).json()["items"]] == [
        queued["id"]
    ]
    assert (await api.get("/admin/runs?status=failed")).json() == {"items": [], "nextCursor": None}


async def test_a_second_run_of_the_group_is_refused_with_the_id_of_the_first(api: httpx.AsyncClient) -> None:
    first = await start(api)

    problem = read_problem(await api.post("/admin/maintenance/vacuum"), 409, "RUN_UNDER_WAY")

    assert problem["runId"] == first["id"]
    read_problem(await api.post("/admin/maintenance/analyze", json={}), 409, "RUN_UNDER_WAY")


async def test_a_wish_may_be_sent_twice_with_an_idempotency_key(api: httpx.AsyncClient) -> None:
    first, second = [
        await api.post("/admin/maintenance/analyze", json={}, headers={"Idempotency-Key": "weekly"}) for _ in range(2)
    ]

    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()
    assert second.headers["location"] == first.headers["location"]


async def test_a_queued_run_is_cancelled_at_once_and_never_done(api: httpx.AsyncClient, app: FastAPI) -> None:
    run = await start(api)

    cancelled = (await api.post(f"/admin/runs/{run['id']}/cancel")).json()
    await do_queued(app.state.runtime, MutexGroup.TABLES)

    assert (cancelled["status"], cancelled["startedAt"]) == ("cancelled", None)
    read_problem(await api.post(f"/admin/runs/{run['id']}/cancel"), 409, "RUN_STATE_CONFLICT")
    assert await events_of(api, run["id"]) == [
        ("run.requested", "api_key", None),
        ("run.cancel_requested", "api_key", None),
        ("run.finished", "api_key", "cancelled"),
    ]
    assert (await start(api))["status"] == "queued"


async def test_a_run_whose_owner_is_dead_is_lost_and_the_next_one_starts(api: httpx.AsyncClient, app: FastAPI) -> None:
    run = await start(api)
    await take(app, run["id"])

    await bury_lost(app.state.runtime, patience=0)

    lost = (await api.get(f"/admin/runs/{run['id']}")).json()
    assert (lost["status"], lost["finishedAt"]) == ("lost", "2026-03-01T12:00:00.000Z")
    assert lost["failure"].startswith("The process that did it has ended")
    assert (await start(api))["status"] == "queued"


async def test_a_lost_run_excludes_others_until_what_it_had_begun_is_cleaned_up(
    api: httpx.AsyncClient, app: FastAPI
) -> None:
    run = await start(api)
    await take(app, run["id"])

    problem = read_problem(await api.post("/admin/maintenance/vacuum"), 409, "RUN_UNDER_WAY")
    cancelled = (await api.post(f"/admin/runs/{run['id']}/cancel")).json()
    await bury_lost(app.state.runtime, patience=0)

    assert (problem["runId"], cancelled["status"]) == (run["id"], "running")
    read_problem(await api.post(f"/admin/runs/{run['id']}/cancel"), 409, "RUN_STATE_CONFLICT")
    assert await events_of(api, run["id"]) == [
        ("run.requested", "api_key", None),
        ("run.cancel_requested", "api_key", None),
        ("run.finished", "api_key", "lost"),
    ]


async def test_a_run_whose_owner_lives_is_neither_lost_nor_replaced(api: httpx.AsyncClient, app: FastAPI) -> None:
    run = await start(api)
    async with direct_connection(direct_url(app.state.runtime)) as owner:
        assert await owner.try_hold(lock_name_of(UUID(run["id"])))
        await do_queued(app.state.runtime, MutexGroup.TABLES)
        assert (await api.get(f"/admin/runs/{run['id']}")).json()["status"] == "queued"
        await take(app, run["id"])
        await bury_lost(app.state.runtime, patience=0)

        assert (await api.get(f"/admin/runs/{run['id']}")).json()["status"] == "running"
        read_problem(await api.post("/admin/maintenance/vacuum"), 409, "RUN_UNDER_WAY")
        cancelled = (await api.post(f"/admin/runs/{run['id']}/cancel")).json()
        assert (cancelled["status"], cancelled["cancelRequestedAt"]) == ("running", "2026-03-01T12:00:00.000Z")


async def test_two_runs_of_a_group_are_impossible_in_the_database_too(
    api: httpx.AsyncClient, fresh_database: str
) -> None:
    await start(api)

    copy = "INSERT INTO runs SELECT (r #= hstore('id', gen_random_uuid()::text)).* FROM runs r"
    with psycopg.connect(fresh_database) as connection:
        connection.execute("CREATE EXTENSION hstore")
        with pytest.raises(psycopg.errors.UniqueViolation, match="uq_runs_mutex_group_under_way"):
            connection.execute(copy)


async def test_maintenance_needs_its_own_permission(app: FastAPI) -> None:
    reader = await make_api_key(app, frozenset({Permission.OPS_READ}))
    async with make_client(app, reader) as client:
        read_problem(await client.post("/admin/maintenance/analyze"), 403, "FORBIDDEN")
        assert (await client.get("/admin/runs")).json() == {"items": [], "nextCursor": None}


async def test_a_wish_that_is_wrong_is_refused(refused_api: httpx.AsyncClient) -> None:
    bodies: list[Any] = [{"table": "licenses"}, {"tables": "licenses"}, {"tables": [""]}, {"force": "perhaps"}, [], "x"]
    for body in bodies:
        read_problem(await refused_api.post("/admin/maintenance/vacuum", json=body), 422, "VALIDATION_FAILED")
    read_problem(await refused_api.get(f"/admin/runs/{UUID(int=1)}"), 404, "RUN_NOT_FOUND")
    read_problem(await refused_api.post(f"/admin/runs/{UUID(int=1)}/cancel"), 404, "RUN_NOT_FOUND")
    read_problem(await refused_api.get("/admin/runs?status=done"), 422, "VALIDATION_FAILED")
