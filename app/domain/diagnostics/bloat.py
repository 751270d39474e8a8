"""Bloat: room in a table or index that holds nothing, estimated from statistics or measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from app.domain.diagnostics.answers import Answer, maintenance, name_of, unavailable
from app.domain.findings import Finding, Level
from app.domain.words import ByteCount

WORTH_BYTES = 100 * 1024 * 1024
WARNING_SHARE = 0.5
WORTH_AN_ESTIMATE_BYTES = 1024 * 1024
EXACT_OBJECTS = 5
"""So many tables and as many indexes are measured, the largest first."""
EXACT_SECONDS = 6.0

_PAGE_HEADER = 24
_LINE_POINTER = 4
_ROW_HEADER = 23
_INDEX_ENTRY_HEADER = 8
_INDEX_PAGE_END = 16
_TOAST_CHUNKS_OF_A_PAGE = 4
_POSTING_LIST_BYTES = 812
_TID_BYTES = 6
_MAX_ALIGN = 8


class BloatKind(StrEnum):
    """What has bloat."""

    TABLE = "table"
    TOAST = "toast"
    INDEX = "index"


class Method(StrEnum):
    """How it was found out."""

    ESTIMATE = "estimate"
    EXACT = "exact"


@dataclass(frozen=True, slots=True)
class Bloat:
    """A table, its TOAST or a btree index; without statistics there is no estimate, only its size."""

    kind: str
    schema_name: str
    table_name: str
    name: str
    bytes: int
    bloat_bytes: int | None
    bloat_share: float | None
    method: str
    action: str


@dataclass(frozen=True, slots=True)
class Column:
    """What the statistics know of a column: `length` is -1 when it varies, `distinct` is negative as a part of rows."""

    alignment: int
    length: int
    width: float
    null_share: float
    distinct: float


@dataclass(frozen=True, slots=True)
class Measured:
    """Something that was looked at, by its oid; columns are None without statistics.

    It has so many bytes now; pages and rows were counted together, maybe some time ago.
    """

    oid: int
    kind: str
    schema_name: str
    table_name: str
    name: str
    bytes: int
    block_size: int
    pages: int
    rows: float
    fill_factor: int
    is_deduplicated: bool
    columns: tuple[Column, ...] | None


def estimate(facts: Measured) -> Bloat:
    """The room that is left when as many rows, of average width, are packed as a fresh copy would pack them."""
    needed = _needed_pages(facts)
    if needed is None:
        return describe(facts, None, Method.ESTIMATE)
    share = max(0.0, 1 - needed / facts.pages) if facts.pages else 0.0
    return describe(facts, round(share * facts.bytes), Method.ESTIMATE)


def describe(facts: Measured, spare: int | None, method: Method) -> Bloat:
    """What has so many bytes to spare, and the command that makes them usable."""
    option = ("reindex", "index") if facts.kind == BloatKind.INDEX else ("vacuum", "table")
    return Bloat(
        kind=facts.kind,
        schema_name=facts.schema_name,
        table_name=facts.table_name,
        name=facts.name,
        bytes=facts.bytes,
        bloat_bytes=spare,
        bloat_share=None if spare is None else round(spare / facts.bytes, 3) if facts.bytes else 0.0,
        method=method,
        action=maintenance(*option, facts.schema_name, facts.name),
    )


def _needed_pages(facts: Measured) -> int | None:
    if facts.kind == BloatKind.TOAST:
        return math.ceil(facts.rows / _TOAST_CHUNKS_OF_A_PAGE)
    if facts.columns is None:
        return None
    if facts.kind == BloatKind.INDEX:
        return _index_pages(facts, facts.columns)
    return _heap_pages(facts, facts.columns)


def _heap_pages(facts: Measured, columns: Sequence[Column]) -> int:
    """Page layout of PostgreSQL's documentation, chapter "Database Page Layout".

    A page is a header and, for each row, a line pointer of 4 bytes and a row: 23 bytes, a bit for each column if
    any is null, and the columns, all of it at multiples of 8.
    """
    bitmap = math.ceil(len(columns) / 8) if any(one.null_share for one in columns) else 0
    row = _rounded(_aligned(_ROW_HEADER + bitmap, _MAX_ALIGN) + _width(columns)) + _LINE_POINTER
    of_a_page = max(1, int((facts.block_size - _PAGE_HEADER) * facts.fill_factor / 100 / row))
    return math.ceil(facts.rows / of_a_page)


def _index_pages(facts: Measured, columns: Sequence[Column]) -> int:
    """Leaf pages of a btree, filled to its fill factor, the pages above them, and the first one.

    An entry has 8 bytes before its columns, and 8 more with a null. Equal entries share one (a posting list of 6
    bytes a row, which a build cuts at a tenth of a page), where the index deduplicates.
    """
    nulls = max((one.null_share for one in columns), default=0.0)
    entry = _rounded(_INDEX_ENTRY_HEADER + _MAX_ALIGN * nulls + _width(columns)) + _LINE_POINTER
    size = facts.rows * entry
    if facts.is_deduplicated and facts.rows:
        distinct = min(facts.rows, math.prod(_distinct(one, facts.rows) for one in columns))
        of_a_list = max(1.0, (_POSTING_LIST_BYTES - entry) // _TID_BYTES)
        lists = distinct * math.ceil(facts.rows / distinct / of_a_list)
        size = min(size, lists * entry + facts.rows * _TID_BYTES)
    usable = (facts.block_size - _PAGE_HEADER - _INDEX_PAGE_END) * facts.fill_factor / 100
    leaves = math.ceil(size / usable)
    above = math.ceil(leaves * entry / usable) if leaves > 1 else 0
    return 1 + leaves + above


def _distinct(column: Column, rows: float) -> float:
    values = column.distinct if column.distinct > 0 else -column.distinct * rows
    return max(1.0, values + (1 if column.null_share else 0))


def _width(columns: Sequence[Column]) -> float:
    """The columns one after the other, each at a multiple of its alignment; behind one that varies, half of that."""
    offset, is_exact = 0.0, True
    for column in columns:
        if column.length > 0 and is_exact:
            offset = _aligned(offset, column.alignment)
        elif column.length > 0:
            offset += (column.alignment - 1) / 2
        offset += column.width * (1 - column.null_share)
        is_exact = is_exact and column.length > 0 and column.null_share == 0
    return offset


def _aligned(size: float, alignment: int) -> float:
    return math.ceil(size / alignment) * alignment


def _rounded(size: float) -> float:
    """At a multiple of 8: exactly for whole bytes, on average for what varies."""
    return _aligned(size, _MAX_ALIGN) if size == int(size) else size + (_MAX_ALIGN - 1) / 2


def judge(answer: Answer[Bloat]) -> list[Finding]:
    """Whether much of a large table or index holds nothing."""
    worth = [
        one for one in answer.items if (one.bloat_bytes or 0) >= WORTH_BYTES and (one.bloat_share or 0) >= WARNING_SHARE
    ]
    if not worth:
        good = Finding("bloat", Level.GOOD, "No large table or index is mostly empty.")
        return unavailable("bloat", answer) or [good]
    return [_judge_one(one) for one in worth]


def _judge_one(one: Bloat) -> Finding:
    name = name_of(one.schema_name, one.name)
    sentence = f"{ByteCount(one.bloat_bytes or 0)} ({one.bloat_share:.0%}) of the {one.kind} {name} hold nothing"
    if one.kind == BloatKind.INDEX:
        return Finding("bloat", Level.WARNING, f"{sentence}.", one.action)
    advice = "a vacuum lets new rows use them; only VACUUM FULL, which locks the table, gives them back"
    return Finding("bloat", Level.WARNING, f"{sentence}; {advice}.", one.action)
