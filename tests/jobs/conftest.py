"""What tests of jobs share: the lines that they write."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.web.logs import LogLines, captured_lines


@pytest.fixture
def log_lines() -> Iterator[LogLines]:
    """The log lines of the test, down to the level debug."""
    with captured_lines("debug") as lines:
        yield lines
