"""Does the jobs of the catalog, each in its own rhythm, as long as the server runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from app.db.deadline import Deadline
from app.domain.errors import Unavailable
from app.jobs.catalog import JOBS, Job
from app.runtime import Runtime
from app.telemetry.logging import log

INSIST_SECONDS = 3.0
LAST_SECONDS = 3.0

logger = logging.getLogger(__name__)


@asynccontextmanager
async def running_jobs(runtime: Runtime, jobs: Sequence[Job] = JOBS) -> AsyncIterator[None]:
    """Do all jobs meanwhile; what one of them does when it ends is rolled back, and those for the end are done then."""
    tasks = [asyncio.create_task(_repeat(job, runtime), name=job.name) for job in jobs]
    try:
        yield
    finally:
        await _end(tasks)
        await _do_last([job for job in jobs if job.is_done_at_stop], runtime)


async def _repeat(job: Job, runtime: Runtime) -> None:
    if job.is_done_at_start:
        await _do(job, runtime)
    while True:
        await asyncio.sleep(job.every.total_seconds())
        await _do(job, runtime)


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel all until they have ended: the driver leaves a database that hangs only when it is told twice."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=INSIST_SECONDS)


async def _do_last(jobs: Sequence[Job], runtime: Runtime) -> None:
    try:
        async with Deadline(LAST_SECONDS):
            for job in jobs:
                await _do(job, runtime)
    except TimeoutError:
        log(logger, logging.WARNING, "Some jobs were not done in time at the stop", event="job_cut")


async def _do(job: Job, runtime: Runtime) -> None:
    try:
        await job.run(runtime)
    except Unavailable:
        """The store told of its outage; the next turn tries again."""
    except Exception:
        log(logger, logging.ERROR, "A job failed because of a defect", event="defect", job=job.name, exc_info=True)
