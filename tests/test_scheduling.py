"""The hall's clock: what becomes of slots whose tables are gone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest

from app.db.models import Run
from app.domain.maintenance import ReindexOptions, TableOptions
from app.domain.pages import MAX_LIMIT, PageRequest
from app.domain.permissions import COMMAND_LINE
from app.domain.runs import MutexGroup, RunKind
from app.runner import do_queued
from app.runtime import Runtime, open_runtime
from app.scheduling import do_due, start_due
from app.services import runs, schedules
from app.services.schedules import PutSchedule
from app.settings import Settings
from tests.conftest import Clock
from tests.factories.schedules import delete_first_schedules


@pytest.fixture
async def runtime(settings: Settings, clock: Clock, fresh_database: str) -> AsyncIterator[Runtime]:
    async with open_runtime(settings, fresh_database, clock=clock) as opened:
        await delete_first_schedules(opened)
        wishes = (
            PutSchedule("a-reindex", RunKind.REINDEX, "0 3 * * *", ReindexOptions(indexes=("gone_index",))),
            PutSchedule("analyze", RunKind.ANALYZE, "0 3 * * *", TableOptions(("licenses", "gone_table"), force=True)),
        )
        async with opened.database.transaction() as tx:
            await schedules.put_all(tx, COMMAND_LINE, wishes, now=clock())
        clock.now = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
        yield opened


async def by_server(runtime: Runtime) -> None:
    for _ in range(2):
        await start_due(runtime)
        await do_queued(runtime, MutexGroup.TABLES)


async def by_command(runtime: Runtime) -> None:
    await do_due(runtime, lambda progress: None)


async def all_runs(runtime: Runtime) -> dict[str | None, Run]:
    async with runtime.database.transaction() as tx:
        return {run.schedule: run for run in (await runs.list_page(tx, None, None, PageRequest(MAX_LIMIT))).items}


@pytest.mark.parametrize("settle", [by_server, by_command])
async def test_a_slot_whose_table_is_gone_is_told_by_its_run_and_stops_no_other(
    runtime: Runtime, settle: Callable[[Runtime], Coroutine[Any, Any, None]]
) -> None:
    await settle(runtime)

    done = await all_runs(runtime)
    assert (done["a-reindex"].status, done["a-reindex"].failure) == (
        "failed",
        "Nothing could be done to any of 1 indexes: gone_index: It is not there any more.",
    )
    assert (done["analyze"].status, done["analyze"].warnings) == (
        "succeeded_with_warnings",
        ["gone_table: It is not there any more."],
    )
