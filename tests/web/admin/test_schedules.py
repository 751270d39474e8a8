"""Schedules over HTTP: seen, set one by one or together, switched, deleted, and done now."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.domain.maintenance import SCHEDULABLE
from app.domain.permissions import Permission
from app.domain.schedules import MAX_SCHEDULES
from app.jobs.schedules import start_scheduled_runs
from app.web.schemas.schedules import OPTION_WISHES
from tests.conftest import Clock, make_api_key, make_client
from tests.web.problem import read_problem

NIGHTLY = {"kind": "analyze", "cron": "0 2 * * *"}


async def put(api: httpx.AsyncClient, name: str, **terms: Any) -> dict[str, Any]:
    """The schedule as it is after it was set."""
    response = await api.put(f"/admin/schedules/{name}", json={**NIGHTLY, **terms})
    assert response.status_code in (200, 201), response.text
    body: dict[str, Any] = response.json()
    return body


async def trail_of(api: httpx.AsyncClient, name: str) -> list[tuple[str, Any]]:
    """What the audit trail says of the schedule, oldest first."""
    found = (await api.get("/admin/audit-events", params={"subjectId": name})).json()["items"]
    return [(one["event"], one["data"]) for one in reversed(found)]


async def test_the_schedules_of_the_guide_are_there_with_their_next_slots(api: httpx.AsyncClient) -> None:
    page = (await api.get("/admin/schedules")).json()

    assert page["nextCursor"] is None
    assert [(one["name"], one["kind"], one["cron"], one["isEnabled"], one["nextRuns"][0]) for one in page["items"]] == [
        ("daily-backup", "backup", "0 2 * * *", True, "2026-03-02T02:00:00.000Z"),
        ("monthly-prune", "prune", "30 3 1 * *", True, "2026-04-01T03:30:00.000Z"),
        ("monthly-reindex", "reindex", "30 5 * * SUN#1", True, "2026-04-05T05:30:00.000Z"),
        ("weekly-vacuum", "vacuum", "30 4 * * SUN", True, "2026-03-08T04:30:00.000Z"),
        ("weekly-verify", "verify", "0 7 * * SUN", True, "2026-03-08T07:00:00.000Z"),
    ]


async def test_a_schedule_is_created_with_defaults_and_its_next_slots(api: httpx.AsyncClient) -> None:
    created = await api.put("/admin/schedules/nightly", json={**NIGHTLY, "options": {"tables": ["licenses"]}})

    assert (created.status_code, created.headers["location"]) == (201, "/admin/schedules/nightly")
    assert created.json() == {
        "name": "nightly",
        "kind": "analyze",
        "cron": "0 2 * * *",
        "options": {"tables": ["licenses"], "force": False},
        "isEnabled": True,
        "missed": "run_once",
        "nextRuns": [f"2026-03-0{day}T02:00:00.000Z" for day in (2, 3, 4)],
        "waitingSince": None,
        "lastRun": None,
        "problem": None,
        "createdAt": "2026-03-01T12:00:00.000Z",
        "updatedAt": "2026-03-01T12:00:00.000Z",
    }


async def test_a_schedule_is_changed_and_deleted_and_all_of_it_is_recorded(
    api: httpx.AsyncClient, clock: Clock
) -> None:
    created = await put(api, "nightly", options={"force": True})
    clock.forward(minutes=1)
    changed = await put(api, "nightly", cron=" 0  3 * * * ", isEnabled=False)
    same = await put(api, "nightly", cron="0 3 * * *")
    deleted = await api.delete("/admin/schedules/nightly")

    changes = {"cron": "0 3 * * *", "isEnabled": False}
    assert changed == {**created, **changes, "nextRuns": [], "updatedAt": "2026-03-01T12:01:00.000Z"}
    assert same == changed
    assert deleted.status_code == 204
    read_problem(await api.get("/admin/schedules/nightly"), 404, "SCHEDULE_NOT_FOUND")
    terms = {"kind": "analyze", "options": {"tables": [], "force": True}, "missed": "run_once"}
    before = {"cron": "0 2 * * *", "isEnabled": True}
    assert await trail_of(api, "nightly") == [
        ("schedule.created", {"after": {**terms, **before}}),
        ("schedule.changed", {"changed": ["cron", "isEnabled"], "before": before, "after": changes}),
        ("schedule.deleted", {"before": {**terms, **changes}}),
    ]


async def test_another_kind_brings_its_own_options(api: httpx.AsyncClient) -> None:
    await put(api, "mine", options={"force": True}, missed="skip")

    assert (await put(api, "mine", cron="0 5 * * *"))["options"] == {"tables": [], "force": True}
    changed = await put(api, "mine", kind="prune")

    assert (changed["options"], changed["missed"]) == ({"dryRun": False}, "skip")


async def test_several_schedules_are_set_together_or_not_at_all(api: httpx.AsyncClient) -> None:
    items = [{"name": "weekly-vacuum", "kind": "vacuum", "cron": "0 6 * * SAT"}, {"name": "nightly", **NIGHTLY}]

    broken = await api.put(
        "/admin/schedules", json={"items": [*items, {"name": "never", **NIGHTLY, "cron": "0 0 31 2 *"}]}
    )
    before = (await api.get("/admin/schedules")).json()["items"]
    done = await api.put("/admin/schedules", json={"items": items})

    read_problem(broken, 422, "INVALID_CRON")
    assert [one["name"] for one in before] == [
        *("daily-backup", "monthly-prune", "monthly-reindex", "weekly-vacuum", "weekly-verify"),
    ]
    assert done.status_code == 200
    assert [(one["name"], one["cron"]) for one in done.json()["items"]] == [
        ("daily-backup", "0 2 * * *"),
        ("monthly-prune", "30 3 1 * *"),
        ("monthly-reindex", "30 5 * * SUN#1"),
        ("nightly", "0 2 * * *"),
        ("weekly-vacuum", "0 6 * * SAT"),
        ("weekly-verify", "0 7 * * SUN"),
    ]


async def test_a_schedule_is_done_now_and_its_slot_comes_all_the_same(api: httpx.AsyncClient) -> None:
    before = await put(api, "nightly", options={"force": True})

    started = await api.post("/admin/schedules/nightly/run", headers={"Idempotency-Key": "now"})
    again = await api.post("/admin/schedules/nightly/run", headers={"Idempotency-Key": "now"})

    run = started.json()
    assert (started.status_code, started.headers["location"]) == (202, f"/admin/runs/{run['id']}")
    assert again.json() == run
    assert (run["kind"], run["trigger"], run["schedule"], run["slotAt"]) == ("analyze", "request", "nightly", None)
    assert (run["options"]["force"], run["requestedBy"]["kind"]) == (True, "api_key")
    after = (await api.get("/admin/schedules/nightly")).json()
    assert (after["nextRuns"], after["lastRun"]) == (
        before["nextRuns"],
        {"id": run["id"], "status": "queued", "requestedAt": "2026-03-01T12:00:00.000Z"},
    )
    problem = read_problem(await api.post("/admin/schedules/nightly/run"), 409, "RUN_UNDER_WAY")
    assert problem["runId"] == run["id"]


async def test_a_slot_that_waits_for_another_run_says_since_when(
    api: httpx.AsyncClient, app: FastAPI, clock: Clock
) -> None:
    await put(api, "nightly", isEnabled=False)
    assert (await api.post("/admin/schedules/nightly/run")).status_code == 202
    await put(api, "nightly", isEnabled=True)
    clock.forward(days=1)

    await start_scheduled_runs(app.state.runtime)

    waiting = (await api.get("/admin/schedules/nightly")).json()
    assert (waiting["waitingSince"], waiting["nextRuns"][:2]) == (
        "2026-03-02T12:00:00.000Z",
        ["2026-03-02T02:00:00.000Z", "2026-03-03T02:00:00.000Z"],
    )


@pytest.mark.parametrize(
    ("terms", "field", "message"),
    [
        ({"kind": "defrag"}, "kind", "Input should be"),
        ({"cron": 5}, "cron", "Input should be a valid string"),
        ({"cron": "* " * 99}, "cron", "at most 100 characters"),
        ({"name": "other"}, "name", "Extra inputs are not permitted"),
        ({"missed": "later"}, "missed", "Input should be"),
        ({"options": []}, "options", "Input should be a valid dictionary"),
        ({"options": {"tables": [""]}}, "options.tables.0", "at least 1 character"),
        ({"options": {"dryRun": True}}, "options.dryRun", "Extra inputs are not permitted"),
        ({"kind": "prune", "options": {"dryRun": 7}}, "options.dryRun", "Input should be a valid boolean"),
    ],
)
async def test_terms_that_are_wrong_are_refused_by_their_member(
    refused_api: httpx.AsyncClient, terms: dict[str, Any], field: str, message: str
) -> None:
    response = await refused_api.put("/admin/schedules/nightly", json={**NIGHTLY, **terms})

    [error] = read_problem(response, 422, "VALIDATION_FAILED")["errors"]
    assert error["field"] == field
    assert message in error["message"]


@pytest.mark.parametrize("cron", ["soon", "* * * * *", "0 0 31 2 *", "0 0 * * * *", "\N{SUPERSCRIPT TWO} 0 * * *"])
async def test_a_cron_expression_that_is_wrong_is_refused_with_what_is_right(
    refused_api: httpx.AsyncClient, cron: str
) -> None:
    response = await refused_api.put("/admin/schedules/nightly", json={**NIGHTLY, "cron": cron})

    problem = read_problem(response, 422, "INVALID_CRON")
    assert problem["errors"] == [{"field": "cron", "message": problem["detail"]}]


async def test_names_that_are_wrong_twice_or_unknown_are_refused(refused_api: httpx.AsyncClient) -> None:
    twice = {"items": [{"name": "a", **NIGHTLY}, {"name": "a", **NIGHTLY}]}
    wrong = {"items": [{"name": "a", **NIGHTLY}, {"name": "b", **NIGHTLY, "options": {"tables": 1}}]}

    for name in ("Nightly", "-a", "a%00", "a" * 51, "a.b"):
        for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/run")):
            response = await refused_api.request(method, f"/admin/schedules/{name}{path}", json=NIGHTLY)
            read_problem(response, 422, "VALIDATION_FAILED")
    [error] = read_problem(await refused_api.put("/admin/schedules", json=twice), 422, "VALIDATION_FAILED")["errors"]
    assert error == {"field": "items.1.name", "message": "names a schedule twice"}
    [error] = read_problem(await refused_api.put("/admin/schedules", json=wrong), 422, "VALIDATION_FAILED")["errors"]
    assert error["field"] == "items.1.options.tables"
    read_problem(await refused_api.put("/admin/schedules", json={"items": []}), 422, "VALIDATION_FAILED")
    read_problem(await refused_api.delete("/admin/schedules/unknown"), 404, "SCHEDULE_NOT_FOUND")
    read_problem(await refused_api.post("/admin/schedules/unknown/run"), 404, "SCHEDULE_NOT_FOUND")


async def test_there_are_at_most_a_hundred_schedules(api: httpx.AsyncClient) -> None:
    items = [{"name": f"s-{number}", **NIGHTLY} for number in range(MAX_SCHEDULES)]

    assert (await api.put("/admin/schedules", json={"items": items[5:]})).status_code == 200

    read_problem(await api.put("/admin/schedules/one-more", json=NIGHTLY), 409, "TOO_MANY_SCHEDULES")
    assert (await put(api, "s-50", cron="0 3 * * *"))["cron"] == "0 3 * * *"


async def test_changing_schedules_needs_the_permission_for_maintenance(app: FastAPI) -> None:
    reader = await make_api_key(app, frozenset({Permission.OPS_READ}))
    async with make_client(app, reader) as client:
        assert (await client.get("/admin/schedules/weekly-vacuum")).status_code == 200
        read_problem(await client.put("/admin/schedules/weekly-vacuum", json=NIGHTLY), 403, "FORBIDDEN")
        read_problem(await client.post("/admin/schedules/weekly-vacuum/run"), 403, "FORBIDDEN")


def test_every_kind_of_run_that_needs_no_person_can_be_scheduled() -> None:
    assert set(OPTION_WISHES) == SCHEDULABLE


@pytest.mark.parametrize("kind", ["restore", "rollback", "drill"])
async def test_what_needs_a_person_is_not_scheduled(api: httpx.AsyncClient, kind: str) -> None:
    terms = {"kind": kind, "cron": "0 2 * * *"}

    refused = read_problem(await api.put("/admin/schedules/mine", json=terms), 422, "NOT_SCHEDULABLE")
    read_problem(await api.put("/admin/schedules/mine", json={**terms, "options": {}}), 422, "NOT_SCHEDULABLE")

    assert refused["errors"][0]["field"] == "kind"
