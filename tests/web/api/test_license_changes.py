"""Changes to licenses over HTTP that touch more, or less, than they name."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.conftest import Clock
from tests.factories.http import issue_license
from tests.web.problem import read_problem


async def test_a_change_that_changes_nothing_leaves_no_trace(api: httpx.AsyncClient, clock: Clock) -> None:
    license = await issue_license(api, maxMachines=3)
    clock.forward(hours=1)

    unchanged = (await api.patch(f"/api/licenses/{license['id']}", json={"maxMachines": 3})).json()

    assert unchanged["updatedAt"] == license["updatedAt"]


async def test_a_trial_moves_with_its_start(api: httpx.AsyncClient) -> None:
    license = await issue_license(api, tier="TRIAL")
    assert license["trialEndsAt"] == "2026-03-31T12:00:00.000Z"

    moved = (await api.patch(f"/api/licenses/{license['id']}", json={"startsAt": "2026-06-01T00:00:00Z"})).json()

    assert moved["trialEndsAt"] == "2026-07-01T00:00:00.000Z"


async def test_a_revoked_license_gives_out_no_seat(api: httpx.AsyncClient) -> None:
    license = await issue_license(api)
    await api.post(f"/api/licenses/{license['id']}/revoke")

    response = await api.post(f"/api/licenses/{license['id']}/machines", json={"machineId": "laptop"})

    read_problem(response, 409, "LICENSE_STATE_CONFLICT")


@pytest.mark.parametrize("member", [{"maxUsers": "7"}, {"maxUsers": 1e2}, {"expiresAt": 1999999999}])
async def test_numbers_and_moments_are_not_guessed(api: httpx.AsyncClient, member: dict[str, Any]) -> None:
    license = await issue_license(api)

    response = await api.patch(f"/api/licenses/{license['id']}", json=member)

    assert [error["field"] for error in read_problem(response, 422, "VALIDATION_FAILED")["errors"]] == list(member)
