"""Vacuum, analyze and reindex over HTTP: from the wish to what came of it."""

from __future__ import annotations

from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from app.domain.runs import MutexGroup
from app.runner import bury_lost, do_queued
from tests.web.problem import read_problem


async def run(api: httpx.AsyncClient, app: FastAPI, kind: str, **wish: Any) -> dict[str, Any]:
    """The run that a wish becomes, when it is done."""
    response = await api.post(f"/admin/maintenance/{kind}", json=wish)
    assert response.status_code == 202, response.text
    await do_queued(app.state.runtime, MutexGroup.TABLES)
    done: dict[str, Any] = (await api.get(response.headers["location"])).json()
    return done


async def test_a_wish_is_done_and_tells_what_came_of_each_table(
    api: httpx.AsyncClient, app: FastAPI, fresh_database: str
) -> None:
    with psycopg.connect(fresh_database) as connection:
        connection.execute('CREATE TABLE "Mixed" AS SELECT generate_series(1, 100) AS "N"')

    vacuumed = await run(api, app, "vacuum", tables=["Mixed", "licenses"], force=True)
    analyzed = await run(api, app, "analyze", tables=['public."Mixed"'])
    rebuilt = await run(api, app, "reindex", indexes=["pk_licenses"], force=True)

    tables = {entry["name"]: entry for entry in vacuumed["result"]["tables"]}
    assert (vacuumed["status"], vacuumed["warnings"], vacuumed["result"]["unlisted"]) == ("succeeded", [], 0)
    assert set(tables) == {'public."Mixed"', "public.licenses"}
    assert set(tables["public.licenses"]) == {
        *("name", "action", "reason", "deadRowsBefore", "deadRowsAfter", "seconds", "sizeBefore", "sizeAfter")
    }
    assert [entry["action"] for entry in analyzed["result"]["tables"]] == ["skipped"]
    [index] = rebuilt["result"]["indexes"]
    assert {name: index[name] for name in ("name", "table", "action", "reason")} == {
        "name": "public.pk_licenses",
        "table": "public.licenses",
        "action": "rebuilt",
        "reason": "It was asked for, whatever its bloat.",
    }
    assert rebuilt["result"]["leftovers"] == []


async def test_a_name_that_nothing_has_is_refused_before_anything_is_queued(api: httpx.AsyncClient) -> None:
    unknown = [("vacuum", "licences"), ("analyze", "pg_class"), ("reindex", "pg_catalog.pg_class"), ("vacuum", 'a"b')]
    unknown += [("vacuum", "information_schema.sql_features"), ("vacuum", "pk_licenses"), ("analyze", "public.x.y")]
    for kind, name in unknown:
        problem = read_problem(
            await api.post(f"/admin/maintenance/{kind}", json={"tables": ["licenses", name]}), 422, "UNKNOWN_TABLES"
        )
        assert problem["errors"] == [{"field": "tables.1", "message": f"there is no table {name}"}]

    problem = read_problem(
        await api.post("/admin/maintenance/reindex", json={"indexes": ["licenses"]}), 422, "UNKNOWN_INDEXES"
    )

    assert problem["errors"] == [{"field": "indexes.0", "message": "there is no index licenses"}]
    assert (await api.get("/admin/runs")).json()["items"] == []


async def test_what_a_lost_reindex_left_is_cleaned_up_when_it_is_buried(
    api: httpx.AsyncClient, app: FastAPI, fresh_database: str
) -> None:
    leave_an_invalid_index(fresh_database)
    queued = (await api.post("/admin/maintenance/reindex", json={})).json()
    with psycopg.connect(fresh_database) as connection:
        connection.execute("UPDATE runs SET status = 'running', owner = 'elsewhere:1', started_at = now()")

    await bury_lost(app.state.runtime)

    assert (await api.get(f"/admin/runs/{queued['id']}")).json()["status"] == "lost"
    with psycopg.connect(fresh_database) as connection:
        assert connection.execute("SELECT count(*) FROM pg_index WHERE NOT indisvalid").fetchone() == (0,)


def leave_an_invalid_index(url: str) -> None:
    """Leave what looks like the leftover of a REINDEX: PostgreSQL itself makes it so when rows are not unique."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE twice AS SELECT 1 AS one UNION ALL SELECT 1")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("CREATE UNIQUE INDEX CONCURRENTLY twice_one_ccnew ON twice (one)")
