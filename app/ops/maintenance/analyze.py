"""Analyze: fresh statistics for the planner."""

from __future__ import annotations

from app.db.queries import maintenance
from app.db.workbench import Workbench
from app.domain.maintenance import TableOptions
from app.domain.runs import Outcome, Progress


async def analyze(bench: Workbench, options: TableOptions) -> Outcome:
    """Analyze the whole database."""
    bench.tell(Progress(phase="analyzing"))
    await maintenance.analyze_database(bench.direct)
    return Outcome({}, tuple(notice.message for notice in bench.direct.take_notices() if notice.severity == "WARNING"))
