"""Names of tables as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.relations import RelationName, UnknownTables, read_name


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("licenses", [(None, "licenses")]),
        ("Licenses", [(None, "Licenses"), (None, "licenses")]),
        ('"Licenses"', [(None, "Licenses")]),
        ("public.licenses", [("public", "licenses")]),
        ('Odd."Odd.name"', [("Odd", "Odd.name"), ("odd", "Odd.name")]),
        ('"a""b"', [(None, 'a"b')]),
        (" public . licenses ", [("public", "licenses")]),
    ],
)
def test_a_name_is_read_as_sql_reads_it_and_as_it_stands(text: str, meant: list[tuple[str | None, str]]) -> None:
    assert read_name(text) == tuple(RelationName(*one) for one in meant)


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a.b.c", '"', '""', '"a', 'a"b', '"a"b', "a..b"])
def test_what_is_no_name_means_nothing(text: str) -> None:
    assert read_name(text) == ()


@given(st.text(min_size=1), st.text(min_size=1))
def test_whatever_is_quoted_is_meant_exactly(schema: str, name: str) -> None:
    quoted = ".".join('"' + part.replace('"', '""') + '"' for part in (schema, name))

    assert read_name(quoted) == (RelationName(schema, name),)


@given(st.text())
def test_no_text_is_too_odd_to_be_read(text: str) -> None:
    assert len(read_name(text)) <= 2


def test_a_refusal_names_ten_and_counts_the_rest() -> None:
    error = UnknownTables.at([(place, f"t{place}") for place in range(12)])

    assert error.message.startswith("There is no such table here: t0, t1,")
    assert "t9 and 2 more." in error.message
    assert [one.field for one in error.errors] == [f"tables.{place}" for place in range(10)]
