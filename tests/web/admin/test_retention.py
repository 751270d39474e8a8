"""What is kept how long, archives and legal holds over HTTP."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import httpx
from fastapi import FastAPI

from app.domain.permissions import Role
from app.domain.retention import Kind, list_rules
from app.web.security import STEP_UP_LIFETIME
from tests.conftest import Clock
from tests.factories.http import create_organization
from tests.ops.maintenance.bench import put_validations, rows
from tests.web.people import make_user, session_of
from tests.web.problem import read_problem

HOLDS = "/admin/legal-holds"


async def test_everything_that_grows_is_shown_with_what_there_is(
    api: httpx.AsyncClient, clock: Clock, fresh_database: str
) -> None:
    put_validations(fresh_database, clock.now - timedelta(days=3), 2)

    answer = await api.get("/admin/retention")

    assert answer.status_code == 200
    kinds = {one["name"]: one for one in answer.json()["kinds"]}
    assert list(kinds) == [kind.value for kind in Kind]
    events = kinds["validation_events"]
    assert (events["kept"], events["keptDays"], events["end"], events["isEvidence"]) == (
        *("90 days", 90, "archived", True),
    )
    assert (events["rows"], events["isEstimate"], events["oldestAt"]) == (2, False, "2026-02-26T12:00:00.000Z")
    assert all(one["bytes"] > 0 for name, one in kinds.items() if name != "archives")
    assert (kinds["idempotency_keys"]["kept"], kinds["archives"]["kept"]) == ("1 day", "for ever")
    assert kinds["audit_events"]["rows"] > 0


def test_a_trail_without_an_end_is_kept_for_ever() -> None:
    [rule] = [rule for rule in list_rules(90, None) if rule.kind is Kind.AUDIT_EVENTS]

    assert (rule.kept, rule.end, rule.cutoff(Clock().now)) == ("for ever", "kept", None)


async def test_archives_are_listed_newest_first_in_pages(api: httpx.AsyncClient, fresh_database: str) -> None:
    insert = (
        "INSERT INTO archives SELECT ('019a0000-0000-7000-8000-00000000000' || n)::uuid, 'validation_events',"
        " 'day ' || n, 'file-' || n, n, 10, 'abc', now(), now(), now() FROM generate_series(1, 3) AS n RETURNING 1"
    )
    rows(fresh_database, insert)

    first = (await api.get("/admin/archives?limit=2")).json()
    second = (await api.get("/admin/archives", params={"cursor": first["nextCursor"]})).json()

    assert [one["fileName"] for one in (*first["items"], *second["items"])] == ["file-3", "file-2", "file-1"]
    assert (first["items"][0]["rows"], second["nextCursor"]) == (3, None)


async def test_a_hold_is_placed_once_listed_and_released(api: httpx.AsyncClient, fresh_database: str) -> None:
    organization_id = (await create_organization(api))["id"]
    body = {"organizationId": organization_id, "reason": "case 7"}

    placed = await api.post(HOLDS, json=body, headers={"Idempotency-Key": "one"})
    again = await api.post(HOLDS, json=body, headers={"Idempotency-Key": "one"})

    assert (placed.status_code, again.json()) == (201, placed.json())
    hold = placed.json()
    assert placed.headers["Location"] == f"{HOLDS}/{hold['id']}"
    assert (hold["organizationId"], hold["reason"], hold["releasedAt"]) == (organization_id, "case 7", None)
    whole = (await api.post(HOLDS, json={"reason": "all of it"})).json()
    assert [one["id"] for one in (await api.get(HOLDS)).json()["items"]] == [whole["id"], hold["id"]]

    for _ in range(2):
        assert (await api.delete(f"{HOLDS}/{hold['id']}")).status_code == 204
    listed = (await api.get(HOLDS)).json()["items"]
    assert [one["releasedAt"] for one in listed] == [None, "2026-03-01T12:00:00.000Z"]
    trail = (await api.get("/admin/audit-events", params={"subjectId": hold["id"]})).json()["items"]
    assert [one["event"] for one in trail] == ["legal_hold.released", "legal_hold.placed"]
    assert trail[1]["data"] == {"after": {"organizationId": organization_id, "reason": "case 7"}}


async def test_a_hold_of_nobody_or_without_a_reason_is_refused(api: httpx.AsyncClient) -> None:
    nobody = str(UUID(int=7))

    read_problem(await api.post(HOLDS, json={"organizationId": nobody, "reason": "x"}), 404, "ORGANIZATION_NOT_FOUND")
    assert (await api.post(HOLDS, json={"reason": " "})).status_code == 422
    read_problem(await api.delete(f"{HOLDS}/{nobody}"), 404, "LEGAL_HOLD_NOT_FOUND")


async def test_releasing_a_hold_wants_a_recent_proof(app: FastAPI, clock: Clock) -> None:
    async with await session_of(app, await make_user(app, Role.OPERATOR)) as operator:
        hold = (await operator.post(HOLDS, json={"reason": "case 7"})).json()
        clock.now += STEP_UP_LIFETIME + timedelta(seconds=1)

        refused = await operator.delete(f"{HOLDS}/{hold['id']}")
        another = await operator.post(HOLDS, json={"reason": "case 8"})

    read_problem(refused, 403, "STEP_UP_REQUIRED")
    assert another.status_code == 201
