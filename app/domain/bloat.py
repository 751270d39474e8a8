"""Bloat: the share of an index that a rebuilt one would not have."""

from __future__ import annotations

from dataclasses import dataclass

PAGE_BYTES = 8192
_PAGE_OVERHEAD = 40  # the page's header, and the tree's own words at its end
_TUPLE_OVERHEAD = 12  # a line pointer, and the header of an index tuple
_ALIGNMENT = 8


@dataclass(frozen=True, slots=True)
class IndexPages:
    """A B-tree as the last VACUUM or ANALYZE counted it; `row_bytes` is the width of its key, as far as it is known."""

    pages: int
    rows: float
    fill_percent: int
    row_bytes: float


@dataclass(frozen=True, slots=True)
class LeafPages:
    """A B-tree as pgstatindex read it from end to end."""

    bytes: int
    leaf_pages: int
    density_percent: float
    fill_percent: int


def estimate_bloat(index: IndexPages) -> float:
    """The share of the pages, from 0 to 1, that a rebuilt tree of as many rows would not have.

    Rows of one value are stored together, which is not reckoned with: such an index is more bloated than this says.
    """
    tuple_bytes = _TUPLE_OVERHEAD + -(-index.row_bytes // _ALIGNMENT) * _ALIGNMENT
    rows_a_page = max(1.0, (PAGE_BYTES - _PAGE_OVERHEAD) * index.fill_percent / 100 // tuple_bytes)
    leaves = -(-max(index.rows, 0.0) // rows_a_page)
    needed = 1 + leaves + leaves // rows_a_page
    return _share_above(needed, index.pages)


def measure_bloat(index: LeafPages) -> float:
    """The share of the bytes, from 0 to 1, that a rebuilt tree of the same rows would not have."""
    density = 0.0 if index.density_percent != index.density_percent else index.density_percent  # NaN: it has no leaf
    needed = 1 + index.leaf_pages * density / max(index.fill_percent, 1)
    return _share_above(needed, index.bytes / PAGE_BYTES)


def _share_above(needed: float, present: float) -> float:
    return max(0.0, 1 - needed / present) if present > 0 else 0.0
