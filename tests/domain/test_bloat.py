"""What the bloat of an index is estimated and measured at."""

from __future__ import annotations

import math

import pytest

from app.domain.bloat import IndexPages, LeafPages, estimate_bloat, measure_bloat


@pytest.mark.parametrize(
    ("index", "bloat"),
    [
        (IndexPages(pages=276, rows=100_000, fill_percent=90, row_bytes=4), 0.0),  # freshly built by PostgreSQL 18
        (IndexPages(pages=276, rows=5_000, fill_percent=90, row_bytes=4), 0.946),
        (IndexPages(pages=276, rows=0, fill_percent=90, row_bytes=4), 0.996),
        (IndexPages(pages=300, rows=300, fill_percent=90, row_bytes=9000), 0.0),
        (IndexPages(pages=0, rows=0, fill_percent=90, row_bytes=4), 0.0),
        (IndexPages(pages=10, rows=100_000, fill_percent=90, row_bytes=4), 0.0),  # one value many times
    ],
)
def test_the_estimate_is_the_share_that_a_rebuilt_tree_would_not_have(index: IndexPages, bloat: float) -> None:
    assert estimate_bloat(index) == pytest.approx(bloat, abs=0.01)


@pytest.mark.parametrize(
    ("index", "bloat"),
    [
        (LeafPages(bytes=276 * 8192, leaf_pages=274, density_percent=90.0, fill_percent=90), 0.003),
        (LeafPages(bytes=276 * 8192, leaf_pages=274, density_percent=45.0, fill_percent=90), 0.5),
        (LeafPages(bytes=276 * 8192, leaf_pages=14, density_percent=90.0, fill_percent=90), 0.946),
        (LeafPages(bytes=276 * 8192, leaf_pages=137, density_percent=100.0, fill_percent=100), 0.5),
        (LeafPages(bytes=8192, leaf_pages=0, density_percent=math.nan, fill_percent=90), 0.0),
        (LeafPages(bytes=0, leaf_pages=0, density_percent=math.nan, fill_percent=90), 0.0),
    ],
)
def test_what_was_measured_counts_pages_that_are_empty_and_those_that_are_half_full(
    index: LeafPages, bloat: float
) -> None:
    assert measure_bloat(index) == pytest.approx(bloat, abs=0.01)
