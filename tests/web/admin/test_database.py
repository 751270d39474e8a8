"""Answers about the database over HTTP: bounded, honest, and 503 only when the database is away."""

from __future__ import annotations

import httpx
import psycopg
import pytest

from tests.web.problem import read_problem
from tests.web.routes import ACCESS

PATHS = sorted(
    route.removeprefix("GET ")
    for route in ACCESS
    if route.startswith("GET /admin/database/") and not route.endswith("overview")
)


async def test_every_question_is_answered_in_the_same_shape(api: httpx.AsyncClient) -> None:
    for path in PATHS:
        response = await api.get(f"{path}?limit=2")

        assert response.status_code == 200, response.text
        answer = response.json()
        assert set(answer) >= {"status", "reason", "remedy", "since", "items"}
        assert answer["status"] == ("unavailable" if path.endswith("slow-queries") else "available"), answer
        assert len(answer["items"]) <= (30 if path.endswith("wraparound") else 2)
    assert len(PATHS) == 15


async def test_the_overview_has_findings_the_worst_first_and_what_mends_them(
    api: httpx.AsyncClient, fresh_database: str
) -> None:
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("ALTER TABLE plans SET (autovacuum_enabled = off)")

    overview = (await api.get("/admin/database/overview")).json()

    assert (overview["level"], overview["examinedAt"]) == ("warning", "2026-03-01T12:00:00.000Z")
    assert overview["findings"][0] == {
        "check": "vacuum",
        "level": "warning",
        "sentence": "Autovacuum is off for the table plans.",
        "action": 'ALTER TABLE "public"."plans" RESET (autovacuum_enabled);',
    }
    assert {one["level"] for one in overview["findings"][1:]} == {"unavailable", "good"}


async def test_partitions_are_shown_where_they_are_asked_for(api: httpx.AsyncClient) -> None:
    whole = (await api.get("/admin/database/tables?limit=500")).json()["items"]
    each = (await api.get("/admin/database/tables?limit=500&partitions=true")).json()["items"]

    [events] = [one for one in whole if one["tableName"] == "validation_events"]
    assert events["partitions"] >= 1
    assert len(each) > len(whole)


async def test_an_exact_figure_says_what_it_needs(api: httpx.AsyncClient) -> None:
    answer = (await api.get("/admin/database/bloat?exact=true")).json()

    assert answer == {
        "status": "unavailable",
        "reason": "The extension pgstattuple is missing in this database.",
        "remedy": "CREATE EXTENSION pgstattuple;",
        "since": None,
        "items": [],
    }


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "exact=perhaps"])
async def test_a_question_that_makes_no_sense_is_refused(refused_api: httpx.AsyncClient, query: str) -> None:
    read_problem(await refused_api.get(f"/admin/database/bloat?{query}"), 422, "VALIDATION_FAILED")
