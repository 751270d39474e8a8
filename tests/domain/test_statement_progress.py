"""How far a statement is, out of rows of progress views."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.statement_progress import percent_of_statement


@pytest.mark.parametrize(
    ("view", "row", "percent"),
    [
        ("vacuum", {"phase": "scanning heap", "heap_blks_scanned": 50, "heap_blks_total": 100}, 25.0),
        ("vacuum", {"phase": "scanning heap", "heap_blks_scanned": 0, "heap_blks_total": 0}, 0.0),
        ("vacuum", {"phase": "vacuuming indexes", "indexes_processed": 1, "indexes_total": 5}, 55.0),
        ("vacuum", {"phase": "vacuuming indexes"}, 50.0),  # before 17 the view does not count indexes
        ("vacuum", {"phase": "truncating heap"}, 95.0),
        ("analyze", {"phase": "acquiring sample rows", "sample_blks_scanned": 30, "sample_blks_total": 30}, 80.0),
        ("create_index", {"phase": "building index: scanning table", "blocks_done": 1, "blocks_total": 2}, 25.0),
        ("create_index", {"phase": "waiting for old snapshots", "lockers_done": 0, "lockers_total": 1}, 92.0),
        ("create_index", {"phase": "of a later version"}, None),
        ("vacuum", {"phase": None, "heap_blks_total": None}, None),
        (None, {}, None),
    ],
)
def test_a_phase_has_its_place_and_its_numbers_tell_where_in_it(
    view: str | None, row: dict[str, Any], percent: float | None
) -> None:
    assert percent_of_statement(view, row) == percent
