"""What stories are given: servers that were not started yet, with a database of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ENCRYPTION_KEY
from tests.live import LiveServer, free_port


@pytest.fixture
def embedded_server(tmp_path: Path) -> Iterator[LiveServer]:
    """A server with an embedded PostgreSQL of its own, not started yet; nothing of it is left afterwards."""
    server = LiveServer(tmp_path, {"DRAIN_SECONDS": "0"}, free_port())
    yield server
    server.__exit__(None, None, None)
    for process in server.postgres_processes():
        process.kill()


@pytest.fixture
def stopped_server(fresh_database: str, tmp_path: Path) -> Iterator[LiveServer]:
    """A server on a migrated database of the test's own, not started yet."""
    server = LiveServer(tmp_path, database_settings(fresh_database), free_port())
    yield server
    server.__exit__(None, None, None)


def database_settings(database_url: str, **others: str) -> dict[str, str]:
    """The environment of a server on this database; it does not drain unless told to."""
    return {"DATABASE_URL": database_url, "ENCRYPTION_KEY": ENCRYPTION_KEY, "DRAIN_SECONDS": "0", **others}
