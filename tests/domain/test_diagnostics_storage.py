"""Sizes, growth, bloat and indexes: sums and formulas, without a database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from app.domain.diagnostics import bloat, indexes, tables
from app.domain.diagnostics.answers import Answer, maintenance, name_of, quoted
from app.domain.diagnostics.bloat import Bloat, Column, Measured
from app.domain.diagnostics.indexes import DuplicateIndex, UnusedIndex, weigh
from app.domain.diagnostics.tables import Table, roll_up, with_growth
from app.domain.findings import Level

TODAY = date(2026, 3, 31)
NOW = datetime(2026, 3, 31, tzinfo=UTC)
MB = 1024 * 1024
INTEGER = Column(4, 4, 4.0, 0.0, -1.0)
BIGINT = Column(8, 8, 8.0, 0.0, -1.0)


def table(name: str, size: int, parent: str | None = None) -> Table:
    return Table("public", name, parent, 0, 10, 1, size, 0, 0, size, None, None)


def facts(kind: str = "table", **others: object) -> Measured:
    default = Measured(1, kind, "public", "t", "t", 819200, 8192, 100, 0.0, 100, False, (INTEGER,))
    return replace(default, **others)  # type: ignore[arg-type]  # the fields are named by the test


def test_names_are_told_as_people_read_them_and_quoted_where_sql_wants_it() -> None:
    assert (name_of("public", "t"), name_of("other", "t")) == ("t", "other.t")
    assert quoted("a", 'Odd"Name') == '"a"."Odd""Name"'
    assert maintenance("vacuum", "table", "public", "Odd Name") == (
        "license-server maintenance vacuum --table 'Odd Name'"
    )


def test_growth_is_that_since_the_oldest_sample() -> None:
    samples = {"public.t": [(date(2026, 3, 1), 400), (date(2026, 3, 30), 900)]}

    grown = with_growth(table("t", 1000), samples, TODAY)

    assert (grown.growth_bytes, grown.growth_bytes_per_day, grown.growth_since) == (600, 20.0, date(2026, 3, 1))


def test_without_a_sample_of_another_day_there_is_no_growth() -> None:
    assert with_growth(table("t", 1000), {}, TODAY).growth_bytes is None
    assert with_growth(table("t", 1000), {"public.t": [(TODAY, 1)]}, TODAY).growth_bytes is None


def test_partitions_are_added_up_in_their_parent() -> None:
    found = [table("p", 0), table("p1", 100, "public.p"), table("p2", 300, "public.p"), table("t", 200)]
    samples = {"public.p1": [(date(2026, 3, 21), 50)], "public.p2": [(date(2026, 3, 30), 1)]}

    whole, alone = roll_up(found, samples, TODAY)

    assert (whole.table_name, whole.partitions, whole.total_bytes, whole.rows_estimate) == ("p", 2, 400, 30)
    assert (whole.growth_bytes, whole.growth_bytes_per_day) == (350, 35.0)
    assert (alone.table_name, alone.partitions) == ("t", 0)


def test_a_parents_own_samples_count_before_those_of_its_partitions() -> None:
    found = [table("p", 0), table("p1", 100, "public.p")]
    samples = {"public.p": [(date(2026, 3, 30), 60)], "public.p1": [(date(2026, 3, 30), 60)]}

    [whole] = roll_up(found, samples, TODAY)

    assert whole.growth_bytes == 40


def test_the_largest_table_is_named() -> None:
    [finding] = tables.judge(Answer(items=(table("small", MB), table("large", 3 * MB))))

    assert (finding.level, finding.sentence) == (Level.GOOD, "The tables take 4.0 MB, the largest, large, 3.0 MB.")
    assert tables.judge(Answer())[0].sentence == "There are no tables."


@pytest.mark.parametrize(
    ("columns", "rows", "pages"),
    [
        ((INTEGER,), 0, 0),
        ((INTEGER,), 226, 1),  # 24 + 8 + 4 = 36 bytes a row, 8168 a page
        ((INTEGER,), 227, 2),
        ((INTEGER, BIGINT), 185, 1),  # 24 + 4 + padding of 4 + 8, and 4
        ((INTEGER, BIGINT), 186, 2),
        ((BIGINT, INTEGER), 185, 1),  # rounded up at the end instead
    ],
)
def test_rows_of_fixed_width_are_packed_as_postgresql_packs_them(
    columns: tuple[Column, ...], rows: int, pages: int
) -> None:
    found = bloat.estimate(facts(columns=columns, rows=float(rows)))

    assert found.bloat_bytes == (100 - pages) * 8192


def test_a_fill_factor_is_no_bloat() -> None:
    full = bloat.estimate(facts(rows=22600.0, pages=100))
    half = bloat.estimate(facts(rows=11300.0, pages=100, fill_factor=50))

    assert (full.bloat_bytes, half.bloat_bytes) == (0, 0)


def test_varying_and_missing_values_count_with_their_average() -> None:
    text = Column(4, -1, 100.0, 0.5, -1.0)

    wide = bloat.estimate(facts(rows=1000.0, columns=(INTEGER, replace(text, null_share=0.0))))
    narrow = bloat.estimate(facts(rows=1000.0, columns=(INTEGER, text)))

    assert wide.bloat_bytes is not None
    assert narrow.bloat_bytes is not None
    assert narrow.bloat_bytes > wide.bloat_bytes > 80 * 8192


def test_equal_entries_of_an_index_share_one() -> None:
    few = (replace(INTEGER, distinct=10.0),)

    merged = bloat.estimate(facts("index", rows=10000.0, columns=few, is_deduplicated=True, fill_factor=90))
    single = bloat.estimate(facts("index", rows=10000.0, columns=few, fill_factor=90))

    assert merged.bloat_bytes is not None
    assert single.bloat_bytes is not None
    assert merged.bloat_bytes > single.bloat_bytes
    assert single.bloat_bytes == (100 - 1 - 28 - 1) * 8192  # 20 bytes an entry, 7336.8 a page


@pytest.mark.parametrize(
    ("pages", "rows", "size", "share"),
    [
        (276, 100_000, 276, 0.0),  # freshly built by PostgreSQL 18
        (276, 5_000, 276, 0.945),
        (276, 0, 276, 0.996),
        (1, 0, 276, 0.0),  # counted when it was made
        (276, 100_000, 2760, 0.0),
        (276, 5_000, 2760, 0.945),
        (0, 0, 1, 0.0),
    ],
)
def test_the_share_of_an_index_is_that_of_the_day_when_its_pages_and_rows_were_counted(
    pages: int, rows: int, size: int, share: float
) -> None:
    found = bloat.estimate(facts("index", pages=pages, rows=float(rows), bytes=size * 8192, fill_factor=90))

    assert found.bytes == size * 8192
    assert found.bloat_share == pytest.approx(share, abs=0.01)


def test_toast_holds_at_most_four_chunks_a_page() -> None:
    found = bloat.estimate(facts("toast", rows=100.0, columns=None))

    assert (found.bloat_bytes, found.bloat_share, found.action) == (
        75 * 8192,
        0.75,
        "license-server maintenance vacuum --table t",
    )


def test_without_statistics_there_is_no_estimate() -> None:
    found = bloat.estimate(facts(columns=None))

    assert (found.bytes, found.bloat_bytes, found.bloat_share) == (819200, None, None)


def spare(size: int, share: float, kind: str = "table") -> Bloat:
    return Bloat(kind, "public", "t", "t", int(size / share), size, share, "estimate", "do it")


@pytest.mark.parametrize(
    ("items", "level"),
    [
        ((), Level.GOOD),
        ((spare(99 * MB, 0.9),), Level.GOOD),
        ((spare(500 * MB, 0.49),), Level.GOOD),
        ((spare(100 * MB, 0.5),), Level.WARNING),
        ((spare(100 * MB, 0.5, "index"),), Level.WARNING),
    ],
)
def test_large_objects_that_are_mostly_empty_are_a_warning(items: tuple[Bloat, ...], level: Level) -> None:
    [finding] = bloat.judge(Answer(items=items))

    assert finding.level is level
    assert finding.action == ("do it" if items and level is Level.WARNING else None)


def unused(size: int) -> UnusedIndex:
    return UnusedIndex("public", "t", "ix_t", size, "DROP INDEX CONCURRENTLY public.ix_t;")


@pytest.mark.parametrize(
    ("age", "size", "is_conclusive", "level"),
    [
        (timedelta(days=7), 10 * MB, True, Level.WARNING),
        (timedelta(days=7), 10 * MB - 1, True, Level.GOOD),
        (timedelta(days=6, hours=23), 10 * MB, False, Level.GOOD),
    ],
)
def test_an_index_is_unused_when_it_was_watched_for_a_week(
    age: timedelta, size: int, is_conclusive: bool, level: Level
) -> None:
    answer = weigh((unused(size),), NOW - age, NOW)

    [finding] = indexes.judge_unused(answer)

    assert (answer.is_conclusive, finding.level) == (is_conclusive, level)
    assert ("Too early to say" in (answer.evidence or "")) != is_conclusive


@pytest.mark.parametrize(("size", "level"), [(10 * MB, Level.WARNING), (MB, Level.GOOD)])
def test_a_large_index_that_another_one_covers_is_a_warning(size: int, level: Level) -> None:
    one = DuplicateIndex("public", "t", "a", "prefix", "", 0, size, "b", "", 0, "DROP INDEX public.a;")

    [finding] = indexes.judge_duplicates(Answer(items=(one,)))

    assert (finding.level, finding.action) == (level, "DROP INDEX public.a;" if level is Level.WARNING else None)
