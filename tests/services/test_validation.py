"""Validation: the seats that machines take, and the way through the answers that were given."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import pytest

from app.domain.errors import InvalidCursor
from app.domain.pages import PageRequest, cut_page
from app.services.validation import _parse_position

ID = UUID("019a0000-0000-7000-8000-000000000001")


@pytest.mark.parametrize(
    "position", ["2026-03-01T12:00:00", "2026-03-01T12:00:00 x", "x 019a", f" {ID}", f"2026-03-01T12:00:00 {ID}"]
)
def test_a_place_among_validations_needs_a_moment_with_its_zone_and_an_id(position: str) -> None:
    cursor = cut_page([position, position], 1, lambda item: item).next_cursor

    with pytest.raises(InvalidCursor):
        PageRequest(cursor=cursor).position(_parse_position)


def test_a_place_among_validations_survives_the_way_through_a_client() -> None:
    cursor = cut_page([1, 2], 1, lambda _: f"2026-03-01T12:00:00+00:00 {ID}").next_cursor

    assert PageRequest(cursor=cursor).position(_parse_position) == (
        datetime.fromisoformat("2026-03-01T12:00:00+00:00"),
        ID,
    )
