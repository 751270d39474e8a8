"""Machines of a license over HTTP: seats, and the three ways of binding."""

from __future__ import annotations

import asyncio

import httpx

from tests.factories.http import issue_license, validate
from tests.web.pages import read_all_pages
from tests.web.problem import read_problem

NOBODY = "00000000-0000-0000-0000-000000000000"


async def test_an_activated_machine_is_found_at_its_location(api: httpx.AsyncClient) -> None:
    license = await issue_license(api)

    response = await api.post(f"/api/licenses/{license['id']}/machines", json={"machineId": "one"})

    machine = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"/api/licenses/{license['id']}/machines/{machine['id']}"
    assert machine == {
        "id": machine["id"],
        "licenseId": license["id"],
        "fingerprint": "7692c3ad3540bb80",
        "activatedAt": "2026-03-01T12:00:00.000Z",
    }
    assert (await api.get(response.headers["location"])).json() == machine


async def test_activating_twice_is_harmless(api: httpx.AsyncClient) -> None:
    license = await issue_license(api, maxMachines=1)
    path = f"/api/licenses/{license['id']}/machines"

    first = await api.post(path, json={"machineId": "one"})
    second = await api.post(path, json={"machineId": "one"})
    third = await api.post(path, json={"machineId": "two"})

    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    read_problem(third, 409, "NO_FREE_SEAT")


async def test_parallel_activations_never_take_more_seats_than_there_are(api: httpx.AsyncClient) -> None:
    license = await issue_license(api, maxMachines=3)
    path = f"/api/licenses/{license['id']}/machines"

    answers = await asyncio.gather(*(api.post(path, json={"machineId": f"m{number}"}) for number in range(9)))

    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 6


async def test_automatic_binding_takes_a_seat_at_validation(api: httpx.AsyncClient) -> None:
    license = await issue_license(api, maxMachines=1)
    key = license["licenseKey"]

    answers = [await validate(api, key, machineId=machine) for machine in ("one", "one", "two")]

    assert [answer["code"] for answer in answers] == ["VALID", "VALID", "TOO_MANY_MACHINES"]
    assert answers[2]["reason"] == "Maximum number of machines exceeded"
    assert (await validate(api, key))["code"] == "VALID"


async def test_explicit_binding_accepts_only_activated_machines(api: httpx.AsyncClient) -> None:
    license = await issue_license(api, machineBinding="EXPLICIT")
    await api.post(f"/api/licenses/{license['id']}/machines", json={"machineId": "one"})
    key = license["licenseKey"]

    answers = [await validate(api, key, machineId=machine) for machine in ("one", "two", None)]

    assert [answer["code"] for answer in answers] == ["VALID", "NO_MACHINE", "FINGERPRINT_SCOPE_REQUIRED"]


async def test_without_binding_machines_are_not_looked_at(api: httpx.AsyncClient) -> None:
    license = await issue_license(api, machineBinding="NONE", maxMachines=0)

    answers = [await validate(api, license["licenseKey"], machineId=machine) for machine in ("one", "two", None)]

    assert [answer["code"] for answer in answers] == ["VALID", "VALID", "VALID"]
    assert (await api.get(f"/api/licenses/{license['id']}/machines")).json()["items"] == []


async def test_removing_a_machine_frees_its_seat(api: httpx.AsyncClient) -> None:
    license = await issue_license(api, maxMachines=1)
    path = f"/api/licenses/{license['id']}/machines"
    await validate(api, license["licenseKey"], machineId="one")
    [machine] = (await api.get(path)).json()["items"]

    response = await api.delete(f"{path}/{machine['id']}")

    assert (response.status_code, response.content) == (204, b"")
    assert (await validate(api, license["licenseKey"], machineId="two"))["code"] == "VALID"
    assert (await validate(api, license["licenseKey"], machineId="one"))["code"] == "TOO_MANY_MACHINES"
    read_problem(await api.delete(f"{path}/{machine['id']}"), 404, "MACHINE_NOT_FOUND")


async def test_a_machine_of_another_license_is_404(api: httpx.AsyncClient) -> None:
    license = await issue_license(api)
    other = await issue_license(api)
    response = await api.post(f"/api/licenses/{other['id']}/machines", json={"machineId": "one"})
    path = f"/api/licenses/{license['id']}/machines/{response.json()['id']}"

    read_problem(await api.get(path), 404, "MACHINE_NOT_FOUND")
    read_problem(await api.delete(path), 404, "MACHINE_NOT_FOUND")
    read_problem(await api.delete(f"/api/licenses/{NOBODY}/machines/{NOBODY}"), 404, "LICENSE_NOT_FOUND")


async def test_a_lower_limit_keeps_those_who_sit(api: httpx.AsyncClient) -> None:
    license = await issue_license(api, maxMachines=2)
    for machine in ("one", "two"):
        await validate(api, license["licenseKey"], machineId=machine)

    await api.patch(f"/api/licenses/{license['id']}", json={"maxMachines": 1})

    codes = [(await validate(api, license["licenseKey"], machineId=name))["code"] for name in ("one", "two", "new")]
    assert codes == ["VALID", "VALID", "TOO_MANY_MACHINES"]


async def test_pages_hold_every_machine_exactly_once(api: httpx.AsyncClient) -> None:
    license = await issue_license(api)
    path = f"/api/licenses/{license['id']}/machines"
    ids = [(await api.post(path, json={"machineId": f"m{number}"})).json()["id"] for number in range(7)]

    listed = await read_all_pages(api, path, limit=3)

    assert [machine["id"] for machine in listed] == ids[::-1]


async def test_pages_hold_every_validation_exactly_once_also_those_of_one_moment(api: httpx.AsyncClient) -> None:
    license = await issue_license(api)
    await asyncio.gather(*(validate(api, license["licenseKey"]) for _ in range(23)))

    listed = await read_all_pages(api, f"/api/licenses/{license['id']}/validations", limit=5)

    assert len(listed) == 23
    assert len({event["id"] for event in listed}) == 23
    assert {event["occurredAt"] for event in listed} == {"2026-03-01T12:00:00.000Z"}
    assert list(listed[0]) == ["id", "occurredAt", "code", "productId", "ip", "requestId"]
    assert (listed[0]["code"], listed[0]["ip"]) == ("VALID", "192.0.2.7")
