"""Restores that are told to stop, just before, while and after the databases are exchanged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from app.domain.maintenance import BackupOptions, Options, RestoreOptions, RollbackOptions
from app.domain.permissions import COMMAND_LINE
from app.domain.runs import Progress, RunKind, RunTrigger
from app.ops.backups.backup import backup
from app.runner import do_at_once
from app.runtime import open_runtime
from app.services.runs import RequestRun
from tests.ops.backups.test_restore import PRODUCTS, databases, site
from tests.ops.maintenance.workshop import Workshop

__all__ = ["site"]


async def do_until(site: Workshop, kind: RunKind, options: Options, act: Callable[[Progress], None]) -> None:
    """Do a run in this process; `act` hears how far it is."""
    async with open_runtime(site.bench.settings, site.url) as runtime:
        await do_at_once(runtime, COMMAND_LINE, RequestRun(kind, options, RunTrigger.COMMAND), act)


async def stopped_at(site: Workshop, kind: RunKind, options: Options, phase: str) -> None:
    """Have the process told to stop as soon as the run is so far."""
    task: asyncio.Task[None]

    def stop(progress: Progress) -> None:
        if progress.phase == phase:
            task.cancel()

    task = asyncio.create_task(do_until(site, kind, options, stop))
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("phase", "status", "products"),
    [("carrying over", "cancelled", 3), ("swapping", "succeeded", 0), ("finishing", "succeeded", 0)],
)
async def test_a_process_that_is_stopped_tells_which_database_is_live(
    site: Workshop, phase: str, status: str, products: int
) -> None:
    made = await backup(site.bench, BackupOptions())
    site.sql(PRODUCTS.format("late", 3))

    await stopped_at(site, RunKind.RESTORE, RestoreOptions(made.result["backup"], force=True), phase)

    assert site.sql("SELECT status FROM runs") == [(status,)]
    assert site.sql("SELECT count(*) FROM products") == [(products,)]
    live = site.sql("SELECT current_database()")[0][0]
    assert len(databases(site.url, f"{live}_")) == (1 if products == 0 else 0)


async def test_a_rollback_that_is_stopped_tells_which_database_is_live(site: Workshop) -> None:
    made = await backup(site.bench, BackupOptions())
    site.sql(PRODUCTS.format("late", 3))
    await do_until(site, RunKind.RESTORE, RestoreOptions(made.result["backup"], force=True), lambda progress: None)

    await stopped_at(site, RunKind.ROLLBACK, RollbackOptions(), "swapping")

    assert site.sql("SELECT count(*) FROM products") == [(3,)]
    assert site.sql("SELECT kind, status FROM runs ORDER BY id DESC LIMIT 1") == [("rollback", "succeeded")]


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.03])
async def test_a_run_that_is_cancelled_after_the_swap_has_succeeded(site: Workshop, delay: float) -> None:
    made = await backup(site.bench, BackupOptions())
    site.sql(PRODUCTS.format("late", 3))

    def cancel(progress: Progress) -> None:
        if progress.phase == "finishing":
            work = asyncio.current_task()
            assert work is not None
            asyncio.get_running_loop().call_later(delay, work.cancel)

    wish = RestoreOptions(made.result["backup"], force=True)
    await do_until(site, RunKind.RESTORE, wish, cancel)

    assert site.sql("SELECT status FROM runs") == [("succeeded",)]
