"""Analyze: fresh statistics for the planner, where they are stale."""

from __future__ import annotations

from app.db.workbench import Workbench
from app.domain.maintenance import TableOptions
from app.domain.runs import Outcome
from app.domain.upkeep import judge_analyze
from app.ops.maintenance.tables import tend_tables


async def analyze(bench: Workbench, options: TableOptions) -> Outcome:
    """Analyze the tables that need it, or all that were chosen."""
    return await tend_tables(bench, options, judge_analyze)
