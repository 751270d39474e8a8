"""What tests of operations share."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.db.migrations import migrate
from tests.db.stoppable import Stoppable


@pytest.fixture
def stoppable() -> Iterator[Stoppable]:
    """A migrated PostgreSQL of the test's own, outside of pytest's folders, which nobody else may enter."""
    folder = Path(tempfile.mkdtemp(prefix="embedded-"))
    server = Stoppable(folder / "data")
    migrate(server.url)
    yield server
    server.stop()
    shutil.rmtree(folder)
