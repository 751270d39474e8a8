"""Pages: a cursor leads to the next page, and nonsense is refused as such."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.errors import InvalidCursor
from app.domain.pages import PageRequest, cut_page

ID = UUID("019a0000-0000-7000-8000-000000000001")


@given(st.text(min_size=1).filter(str.isprintable))
def test_a_cursor_leads_back_to_the_last_item_of_its_page(last: str) -> None:
    page = cut_page(["first", last, "next"], 2, lambda item: item)

    assert list(page.items) == ["first", last]
    assert PageRequest(cursor=page.next_cursor).position(str) == last


def test_a_cursor_of_an_id_is_url_safe_and_leads_back_to_it() -> None:
    cursor = cut_page([ID, ID], 1, lambda item: item).next_cursor

    assert cursor == "MDE5YTAwMDAtMDAwMC03MDAwLTgwMDAtMDAwMDAwMDAwMDAx"
    assert PageRequest(cursor=cursor).position(UUID) == ID


@pytest.mark.parametrize("found", [[], [1], [1, 2]])
def test_the_last_page_has_no_cursor(found: list[int]) -> None:
    page = cut_page(found, 2, lambda item: item)

    assert (list(page.items), page.next_cursor) == (found, None)


def test_the_first_page_begins_nowhere() -> None:
    assert PageRequest().position(UUID) is None


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "AA==AA", "ü", "\ud800", "MDE5YQ", "/w", "_w", " ", "\0", "=" * 9])
def test_a_cursor_that_was_never_given_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        PageRequest(cursor=cursor).position(UUID)


@given(st.text() | st.text("ABCabc019-_=/+"))
@example("AA")
def test_nonsense_is_never_anything_but_an_invalid_cursor(cursor: str) -> None:
    with suppress(InvalidCursor):
        PageRequest(cursor=cursor).position(UUID)
    with suppress(InvalidCursor):
        position = PageRequest(cursor=cursor).position(str)
        assert position is not None
        assert "\0" not in position
