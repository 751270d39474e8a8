"""Errors over HTTP: a defect is counted once, and shown without anything that a client wrote."""

from __future__ import annotations

import logging

import httpx
import pytest
from fastapi import FastAPI

from app.jobs.error_groups import store_errors
from app.telemetry.logging import log
from tests.web.logs import LogLines
from tests.web.problem import read_problem


async def test_errors_of_the_last_day_are_shown_by_group(
    app: FastAPI, api: httpx.AsyncClient, log_lines: LogLines
) -> None:
    for _ in range(2):
        log(logging.getLogger("app.somewhere"), logging.ERROR, "<script>", event="database_down", reason="<script>")
    await store_errors(app.state.runtime)

    answer = (await api.get("/admin/errors?until=2026-03-01T13:00:00Z")).json()

    [group] = answer["groups"]
    assert {name: answer[name] for name in ("since", "until", "count", "groupCount")} == {
        "since": "2026-02-28T13:00:00.000Z",
        "until": "2026-03-01T13:00:00.000Z",
        "count": 2,
        "groupCount": 1,
    }
    assert len(group.pop("fingerprint")) == 16
    assert group == {
        "event": "database_down",
        "exception": None,
        "place": "app.somewhere",
        "count": 2,
        "firstSeenAt": "2026-03-01T12:00:00.000Z",
        "lastSeenAt": "2026-03-01T12:00:00.000Z",
        "days": [{"day": "2026-03-01", "count": 2}],
    }


@pytest.mark.parametrize("query", ["?since=2025-01-01T00:00:00Z", "?since=2026-03-02T00:00:00Z"])
async def test_a_window_that_is_none_is_refused(refused_api: httpx.AsyncClient, query: str) -> None:
    read_problem(await refused_api.get(f"/admin/errors{query}"), 422, "INVALID")
