"""How far a statement of maintenance is, out of what PostgreSQL's progress views tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Where each phase of a statement begins and ends, in percent of the whole, and the columns that tell how far it is.
_VACUUM: Mapping[str, tuple[float, float, str, str]] = {
    "scanning heap": (0, 50, "heap_blks_scanned", "heap_blks_total"),
    "vacuuming indexes": (50, 75, "indexes_processed", "indexes_total"),
    "vacuuming heap": (75, 90, "heap_blks_vacuumed", "heap_blks_total"),
    "cleaning up indexes": (90, 95, "indexes_processed", "indexes_total"),
    "truncating heap": (95, 98, "", ""),
    "performing final cleanup": (98, 99, "", ""),
}
_ANALYZE: Mapping[str, tuple[float, float, str, str]] = {
    "acquiring sample rows": (0, 80, "sample_blks_scanned", "sample_blks_total"),
    "acquiring inherited sample rows": (0, 80, "child_tables_done", "child_tables_total"),
    "computing statistics": (80, 90, "", ""),
    "computing extended statistics": (90, 95, "ext_stats_computed", "ext_stats_total"),
    "finalizing analyze": (95, 99, "", ""),
}
_CREATE_INDEX: Mapping[str, tuple[float, float, str, str]] = {
    "waiting for writers before build": (0, 5, "lockers_done", "lockers_total"),
    "building index": (5, 70, "blocks_done", "blocks_total"),
    "building index: scanning table": (5, 45, "blocks_done", "blocks_total"),
    "building index: sorting live tuples": (45, 55, "", ""),
    "building index: loading tuples in tree": (55, 70, "tuples_done", "tuples_total"),
    "waiting for writers before validation": (70, 75, "lockers_done", "lockers_total"),
    "index validation: scanning index": (75, 80, "blocks_done", "blocks_total"),
    "index validation: sorting tuples": (80, 85, "", ""),
    "index validation: scanning table": (85, 92, "blocks_done", "blocks_total"),
    "waiting for old snapshots": (92, 95, "lockers_done", "lockers_total"),
    "waiting for readers before marking dead": (95, 97, "lockers_done", "lockers_total"),
    "waiting for readers before dropping": (97, 99, "lockers_done", "lockers_total"),
}
_PHASES = {"vacuum": _VACUUM, "analyze": _ANALYZE, "create_index": _CREATE_INDEX}


def percent_of_statement(view: str | None, row: Mapping[str, Any]) -> float | None:
    """How far a statement is, from 0 to 100; None when the view does not say, or may not be seen."""
    place = _PHASES.get(view or "", {}).get(row.get("phase") or "")
    if place is None:
        return None
    begin, end, done, total = place
    part = min(1.0, (row.get(done) or 0) / row[total]) if row.get(total) else 0.0
    return round(begin + part * (end - begin), 1)
