"""What a table or an index needs, at every limit and just below it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain.upkeep import (
    BLOATED_BYTES,
    IndexFacts,
    Step,
    TableFacts,
    has_room,
    is_worth_measuring,
    judge_analyze,
    judge_index,
    judge_vacuum,
    keeps_dead_rows,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CALM = TableFacts(
    oid=1,
    schema="public",
    name="big",
    title="public.big",
    is_partitioned=False,
    bytes=8192000,
    pages=1000,
    all_visible_pages=1000,
    live_rows=10_000,
    dead_rows=0,
    toast_live_rows=0,
    toast_dead_rows=0,
    inserted_rows=0,
    modified_rows=0,
    analyzed_at=NOW,
    partitions_analyzed_at=None,
    vacuums=0,
    analyzes=0,
    transaction_age=1,
    transaction_limit=200_000_000,
    multixact_age=1,
    multixact_limit=400_000_000,
)
INDEX = IndexFacts(
    oid=2,
    schema="public",
    name="big_pkey",
    title="public.big_pkey",
    table_oid=1,
    table_schema="public",
    table_name="big",
    table_title="public.big",
    method="btree",
    is_valid=True,
    is_exclusion=False,
    is_toast=False,
    is_leftover=False,
    builder_pid=None,
    bytes=10 * BLOATED_BYTES,
    pages=1280,
)


@pytest.mark.parametrize(
    ("facts", "step", "words"),
    [
        (
            {},
            None,
            "Nothing to do: 0 dead rows (vacuumed from 550 on), 0 rows changed since it was analyzed (analyzed",
        ),
        ({"dead_rows": 549}, None, "Nothing to do: 549 dead rows"),
        ({"dead_rows": 550}, Step.VACUUM, "550 of 10,550 rows are dead (vacuumed from 550)."),
        ({"live_rows": 0, "dead_rows": 49}, None, "Nothing to do: 49 dead rows (vacuumed from 50 on)"),
        ({"live_rows": 0, "dead_rows": 50}, Step.VACUUM, "50 of 50 rows are dead"),
        ({"toast_live_rows": 1000, "toast_dead_rows": 99}, None, "Nothing to do: 0 dead rows"),
        ({"toast_live_rows": 1000, "toast_dead_rows": 100}, Step.VACUUM, "100 of 1,100 rows of its TOAST table"),
        ({"inserted_rows": 1499}, None, "Nothing to do: 0 dead rows"),
        (
            {"inserted_rows": 1500},
            Step.VACUUM,
            "1,500 rows came since it was vacuumed (visibility map stale from 1,500)",
        ),
        ({"all_visible_pages": 801}, None, "Nothing to do: 0 dead rows"),
        ({"all_visible_pages": 800}, Step.VACUUM, "The visibility map vouches for 800 of 1,000 pages only."),
        ({"pages": 127, "all_visible_pages": 0}, None, "Nothing to do: 0 dead rows"),
        ({"pages": 128, "all_visible_pages": 0}, Step.VACUUM, "The visibility map vouches for 0 of 128 pages only."),
        ({"transaction_age": 99_999_999}, None, "Nothing to do: 0 dead rows"),
        (
            {"transaction_age": 100_000_000},
            Step.FREEZE,
            "Its oldest row is 100,000,000 transactions old; at 200,000,000",
        ),
        ({"multixact_age": 200_000_000}, Step.FREEZE, "Its oldest row is 200,000,000 multixacts old; at 400,000,000"),
        ({"transaction_age": 100_000_000, "dead_rows": 9999}, Step.FREEZE, "Its oldest row"),
        ({"modified_rows": 549}, None, "Nothing to do: 0 dead rows (vacuumed from 550 on), 549 rows changed"),
        ({"modified_rows": 550}, Step.ANALYZE, "550 rows were changed since it was analyzed (stale from 550)."),
        ({"analyzed_at": None}, Step.ANALYZE, "It was never analyzed, and has 10,000 rows."),
        ({"analyzed_at": None, "live_rows": 0, "pages": 0, "all_visible_pages": 0}, None, "Nothing to do: 0 dead rows"),
        ({"is_partitioned": True, "transaction_age": 0, "dead_rows": 9999}, None, "Nothing to do: 0 rows changed"),
        ({"is_partitioned": True, "modified_rows": 550}, Step.ANALYZE, "550 rows were changed"),
    ],
)
def test_vacuum_does_what_the_numbers_say_and_says_the_numbers(
    facts: dict[str, Any], step: Step | None, words: str
) -> None:
    verdict = judge_vacuum(replace(CALM, **facts), is_forced=False)

    assert verdict.step == step
    assert verdict.reason.startswith(words)


@pytest.mark.parametrize(
    ("facts", "step"),
    [({}, Step.VACUUM), ({"transaction_age": 100_000_000}, Step.FREEZE), ({"is_partitioned": True}, Step.ANALYZE)],
)
def test_a_forced_vacuum_leaves_nothing_out(facts: dict[str, Any], step: Step) -> None:
    assert judge_vacuum(replace(CALM, **facts), is_forced=True).step == step


@pytest.mark.parametrize(
    ("facts", "step"),
    [
        ({}, None),
        ({"dead_rows": 9999, "inserted_rows": 9999, "transaction_age": 10**9}, None),
        ({"modified_rows": 549}, None),
        ({"modified_rows": 550}, Step.ANALYZE),
        ({"analyzed_at": None, "live_rows": 0}, Step.ANALYZE),
        ({"analyzed_at": None, "live_rows": 0, "pages": 0}, None),
        ({"partitions_analyzed_at": NOW + timedelta(hours=1)}, None),
        ({"partitions_analyzed_at": NOW + timedelta(hours=1, microseconds=1)}, Step.ANALYZE),
    ],
)
def test_analyze_looks_at_changes_alone(facts: dict[str, Any], step: Step | None) -> None:
    assert judge_analyze(replace(CALM, **facts), is_forced=False).step == step
    assert judge_analyze(replace(CALM, **facts), is_forced=True).step == Step.ANALYZE


@pytest.mark.parametrize(
    ("facts", "bloat", "is_forced", "step", "words"),
    [
        (
            {},
            0.29,
            False,
            None,
            "Nothing to do: an estimated 29% of its 10.0 MB is bloat (rebuilt from 30% and 1.0 MB on).",
        ),
        ({}, 0.3, False, Step.REBUILD, "An estimated 30% of its 10.0 MB is bloat"),
        ({"bytes": BLOATED_BYTES}, 0.99, False, None, "Nothing to do: an estimated 99% of its 1.0 MB"),
        ({"bytes": 2 * BLOATED_BYTES}, 0.5, False, Step.REBUILD, "An estimated 50% of its 2.0 MB"),
        ({}, None, False, None, "Its bloat is unknown, because it was neither vacuumed"),
        (
            {"method": "gin"},
            None,
            False,
            None,
            "Its bloat is unknown, because it is of the kind gin; only `force` rebuilds it.",
        ),
        ({"bytes": None}, 0.9, False, None, "Somebody locks it out"),
        ({"bytes": None}, None, True, Step.REBUILD, "It was asked for"),
        ({}, 0.0, True, Step.REBUILD, "It was asked for"),
        ({"is_valid": False}, None, False, Step.REBUILD, "It was invalid"),
        ({"is_valid": False, "builder_pid": 7}, None, True, None, "The session 7 builds it right now."),
        ({"is_exclusion": True}, 0.9, True, None, "It serves an exclusion constraint"),
    ],
)
def test_an_index_is_rebuilt_when_it_is_invalid_or_bloated_and_when_it_can_be(
    facts: dict[str, Any], bloat: float | None, is_forced: bool, step: Step | None, words: str
) -> None:
    verdict = judge_index(replace(INDEX, **facts), bloat, is_exact=False, is_forced=is_forced)

    assert verdict.step == step
    assert verdict.reason.startswith(words)


def test_only_what_could_be_bloated_enough_is_read_from_end_to_end() -> None:
    assert is_worth_measuring(INDEX)
    assert not is_worth_measuring(replace(INDEX, bytes=BLOATED_BYTES - 1))
    assert not is_worth_measuring(replace(INDEX, bytes=None))
    assert not is_worth_measuring(replace(INDEX, method="gin"))
    assert not is_worth_measuring(replace(INDEX, is_valid=False))


@pytest.mark.parametrize(
    ("free", "size", "enough"), [(120, 100, True), (119, 100, False), (None, 100, True), (0, None, True), (0, 0, True)]
)
def test_a_copy_needs_a_fifth_more_room_than_the_index_has(free: int | None, size: int | None, enough: bool) -> None:
    assert has_room(free, size) is enough


def test_many_dead_rows_after_a_vacuum_are_kept_by_somebody() -> None:
    assert keeps_dead_rows(replace(CALM, dead_rows=550))
    assert not keeps_dead_rows(replace(CALM, dead_rows=549))
