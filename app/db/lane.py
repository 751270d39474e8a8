"""A lane: one connection of its own for the statements of the hot path, reopened when it breaks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import psycopg

from app.coalescer import Outage
from app.db.deadline import Deadline
from app.db.engine import connect
from app.db.errors import AWAY

TRIP_SECONDS = 1.5

Result = TypeVar("Result")
Statement = Callable[[psycopg.AsyncConnection], Awaitable[Result]]


class Lane:
    """Runs one statement at a time, each its own transaction; raises Outage when the database does not answer."""

    def __init__(self, url: str, *, trip_seconds: float = TRIP_SECONDS) -> None:
        self._url = url
        self._trip_seconds = trip_seconds
        self._connection: psycopg.AsyncConnection | None = None

    async def read(self, statement: Statement[Result]) -> Result:
        """Run a statement that writes nothing; a connection that broke while idle is replaced and it is run again."""
        try:
            return await self._run(statement)
        except _Broken:
            return await self._run_or_give_up(statement)

    async def write(self, statement: Statement[Result]) -> Result:
        """Run a statement that writes; never twice, for nobody knows whether a broken one was committed."""
        return await self._run_or_give_up(statement)

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close()

    async def _run_or_give_up(self, statement: Statement[Result]) -> Result:
        try:
            return await self._run(statement)
        except _Broken as broken:
            raise Outage("the database connection broke") from broken

    async def _run(self, statement: Statement[Result]) -> Result:
        was_open = self._connection is not None and not self._connection.closed
        try:
            async with Deadline(self._trip_seconds):
                if self._connection is None or self._connection.closed:
                    self._connection = await connect(self._url, autocommit=True)
                return await statement(self._connection)
        except TimeoutError as error:
            await self._drop()
            raise Outage("the database did not answer in time") from error
        except AWAY as error:
            is_broken = self._connection is None or self._connection.closed
            if is_broken and was_open:
                raise _Broken from error
            raise Outage("the database is away") from error

    async def _drop(self) -> None:
        if self._connection is not None:
            self._connection.pgconn.finish()
            self._connection = None


class _Broken(Exception):
    """The connection was open before the statement and is closed after it."""
