"""Folders for tests that start a PostgreSQL of their own."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.db.embedded import acquire


@pytest.fixture
def private_folder() -> Iterator[Path]:
    """A folder of mode 0700, not below pytest's own, which each run closes anew (chmod undoes access entries)."""
    folder = Path(tempfile.mkdtemp(prefix="embedded-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def data_dir(private_folder: Path) -> Iterator[Path]:
    """A data folder that is not there yet; its server is stopped at the end, whatever the test did to it."""
    folder = private_folder / "data"
    yield folder
    if (folder / "postgres" / "postmaster.pid").exists():
        acquire(folder).release()
