"""Amounts are told as people read them."""

from __future__ import annotations

import json

import pytest

from app.domain.words import ByteCount, duration_in_words


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 kB"),
        (-1536, "-1.5 kB"),
        (1024**2 - 1, "1.0 MB"),
        (20 << 30, "20.0 GB"),
        (5 << 40, "5.0 TB"),
        (5 << 50, "5120.0 TB"),
    ],
)
def test_a_number_of_bytes_is_read_in_its_unit(size: int, text: str) -> None:
    assert f"{ByteCount(size)}" == text
    assert json.dumps(ByteCount(size)) == str(size)


@pytest.mark.parametrize(
    ("seconds", "words"), [(3, "3 s"), (119, "119 s"), (180, "3 min"), (7200, "2 h"), (172800, "2 days")]
)
def test_a_length_of_time_is_read_in_its_unit(seconds: float, words: str) -> None:
    assert duration_in_words(seconds) == words
