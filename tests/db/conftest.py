"""Folders for tests that start a PostgreSQL of their own, and the versions that tests of the schema run on."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.db.embedded import EmbeddedPostgres, acquire
from tests.db.old_postgres import OldPostgres, find_old_postgres
from tests.db.stoppable import Stoppable


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


@pytest.fixture
def stoppable(data_dir: Path) -> Iterator[Stoppable]:
    """A PostgreSQL of the test's own, to be frozen, stopped and started."""
    server = Stoppable(data_dir)
    yield server
    server.stop()


@pytest.fixture(scope="module", params=["ours", *find_old_postgres()])
def server_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of the database `postgres` on our PostgreSQL, and on the oldest we support if it is installed."""
    if request.param == "ours":
        postgres: EmbeddedPostgres = request.getfixturevalue("postgres")
        yield postgres.database_url("postgres")
        return
    with OldPostgres(request.param) as old:
        yield old.url
