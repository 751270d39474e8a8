"""Validation traffic while maintenance works on the tables that it uses."""

from __future__ import annotations

import asyncio

import httpx
from fastapi import FastAPI

from app.db.direct import direct_connection
from app.db.models.base import new_id
from app.db.workbench import Workbench
from app.domain.maintenance import ReindexOptions, TableOptions
from app.domain.permissions import COMMAND_LINE
from app.domain.runs import RunStatus
from app.ops.maintenance.reindex import reindex
from app.ops.maintenance.vacuum import vacuum
from app.runner import direct_url
from app.runtime import Runtime
from tests.factories.http import issue_license, validate

TABLES = ("machines", "licenses", "validation_events")


async def test_validations_go_on_while_their_tables_are_vacuumed_and_their_indexes_rebuilt(
    api: httpx.AsyncClient, client: httpx.AsyncClient, app: FastAPI
) -> None:
    runtime: Runtime = app.state.runtime
    license_key = (await issue_license(api, maxMachines=1000))["licenseKey"]
    await validate(client, license_key, machineId="first")

    async with direct_connection(direct_url(runtime)) as direct:
        parts = (runtime.database, runtime.settings, runtime.vault, runtime.now)
        bench = Workbench(direct, *parts, lambda progress: None, new_id(), COMMAND_LINE)
        work = asyncio.create_task(maintain(bench))
        codes: list[str] = []
        while not work.done():
            number = len(codes)
            machine = "first" if number % 2 else f"machine {number}"
            codes.append((await validate(client, license_key, machineId=machine))["code"])
        statuses = await work

    assert statuses == [RunStatus.SUCCEEDED, RunStatus.SUCCEEDED]
    assert set(codes) == {"VALID"}
    assert len(codes) > 10


async def maintain(bench: Workbench) -> list[RunStatus]:
    """Vacuum and rebuild everything that a validation touches."""
    vacuumed = await vacuum(bench, TableOptions(TABLES, force=True))
    rebuilt = await reindex(bench, ReindexOptions(TABLES, force=True))
    return [vacuumed.status, rebuilt.status]
