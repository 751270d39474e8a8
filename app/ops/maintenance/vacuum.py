"""Vacuum: dead rows go, old rows are frozen, and the planner's statistics are fresh, where that is needed."""

from __future__ import annotations

from app.db.workbench import Workbench
from app.domain.maintenance import TableOptions
from app.domain.runs import Outcome
from app.domain.upkeep import judge_vacuum
from app.ops.maintenance.tables import tend_tables


async def vacuum(bench: Workbench, options: TableOptions) -> Outcome:
    """Vacuum and analyze the tables that need it, or all that were chosen."""
    return await tend_tables(bench, options, judge_vacuum)
