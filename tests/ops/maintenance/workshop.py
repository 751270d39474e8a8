"""A workbench for tests, with what a run tells kept, and a second session beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from app.db.direct import direct_connection
from app.db.engine import Database
from app.db.models.base import new_id
from app.db.workbench import Workbench
from app.domain.permissions import COMMAND_LINE
from app.domain.runs import Outcome, Progress
from app.settings import Settings
from app.vault import Vault
from tests.conftest import ENCRYPTION_KEY

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Workshop:
    """A workbench, what was told of the progress, and the superuser's address of the database."""

    bench: Workbench
    told: list[Progress]
    url: str

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        """The rows of the last statement; what each did is in the statistics at once."""
        rows: list[tuple[Any, ...]] = []
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
                connection.execute("SELECT pg_stat_force_next_flush()")
        return rows

    @contextmanager
    def holding(self, *statements: str) -> Iterator[int]:
        """Another session has done these in a transaction that goes on; its process id."""
        with psycopg.connect(self.url) as connection:
            for statement in statements:
                connection.execute(statement.encode())
            yield connection.info.backend_pid
            connection.rollback()


@asynccontextmanager
async def open_workshop(settings: Settings, url: str, *, direct_url: str | None = None) -> AsyncIterator[Workshop]:
    """A workshop on this database; its direct session may be another role's."""
    told: list[Progress] = []
    database = Database(url, pool_size=2)
    async with direct_connection(direct_url or url) as direct:
        vault = Vault((ENCRYPTION_KEY,))
        bench = Workbench(direct, database, settings, vault, lambda: NOW, told.append, new_id(), COMMAND_LINE)
        yield Workshop(bench, told, url)
    await database.close()


def by_name(outcome: Outcome, noun: str = "tables") -> dict[str, dict[str, Any]]:
    """The entries of a result by their names."""
    return {entry["name"]: entry for entry in outcome.result[noun]}
