"""Outcomes and progress that no row can hold fail their run, and never leave it to count as lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.db.models import Run
from app.db.workbench import Workbench
from app.domain.maintenance import TableOptions
from app.domain.permissions import COMMAND_LINE
from app.domain.runs import Outcome, Progress, RunKind, RunTrigger
from app.runner import DEFECT, do_at_once
from app.runtime import Runtime, open_runtime
from app.services.runs import RequestRun
from tests.conftest import Clock, make_settings
from tests.web.logs import captured_lines


@pytest.fixture
async def runtime(fresh_database: str, tmp_path: Path, clock: Clock) -> AsyncIterator[Runtime]:
    async with open_runtime(make_settings(fresh_database, tmp_path), fresh_database, clock=clock) as opened:
        yield opened


async def do(runtime: Runtime, outcome: Outcome, progress: Progress | None = None) -> tuple[Run, int]:
    """The run that has ended so, and how many defects were logged."""

    async def work(bench: Workbench, options: TableOptions) -> Outcome:
        if progress is not None:
            bench.tell(progress)
            await bench.direct.connection.execute("SELECT pg_sleep(5)")
        return outcome

    wish = RequestRun(RunKind.ANALYZE, TableOptions(), RunTrigger.COMMAND)
    with captured_lines("error") as lines:
        run = await do_at_once(runtime, COMMAND_LINE, wish, lambda progress: None, {RunKind.ANALYZE: work})
    return run, len([line for line in lines.read() if line["event"] == "defect"])


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome({"at": datetime(2026, 3, 1, tzinfo=UTC)}),
        Outcome({"names": {"a", "b"}}),
        Outcome({"share": float("nan")}),
        Outcome({"name": "nul \0"}),
        Outcome({"name": "half \ud800"}),
        Outcome({"name": object()}, ("look here",)),
        Outcome(warnings=("nul \0",)),
        Outcome(failure="half \ud800"),
    ],
)
async def test_an_outcome_that_no_row_can_hold_is_a_defect(runtime: Runtime, outcome: Outcome) -> None:
    run, defects = await do(runtime, outcome)

    assert (run.status, run.failure, run.result, run.warnings, defects) == ("failed", DEFECT, {}, [], 1)


@pytest.mark.parametrize("percent", [float("nan"), datetime(2026, 3, 1, tzinfo=UTC)])
async def test_progress_that_no_row_can_hold_is_a_defect(runtime: Runtime, percent: Any) -> None:
    run, defects = await do(runtime, Outcome(), Progress(percent))

    assert (run.status, run.failure, defects) == ("failed", DEFECT, 1)
