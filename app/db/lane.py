"""A lane: one connection of its own for the statements of the hot path, reopened when it breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import psycopg

from app.coalescer import Outage
from app.db.deadline import Deadline
from app.db.engine import Connect, connect
from app.db.errors import AWAY, log_outage

TRIP_SECONDS = 1.5

Result = TypeVar("Result")
Statement = Callable[[psycopg.AsyncConnection], Awaitable[Result]]


class Lane:
    """Runs statements, each its own transaction; raises Outage when the database does not answer in time."""

    def __init__(
        self,
        url: str,
        *,
        trip_seconds: float = TRIP_SECONDS,
        tell_outage: Callable[[BaseException], None] = log_outage,
        connect: Connect = connect,
    ) -> None:
        self._url = url
        self._connect = connect
        self._tell_outage = tell_outage
        self._trip_seconds = trip_seconds
        self._connecting = asyncio.Lock()
        self._connection: psycopg.AsyncConnection | None = None

    async def read(self, statement: Statement[Result]) -> Result:
        """Run a statement that writes nothing; a connection that broke while idle is replaced and it is run again."""
        async with self._outages():
            try:
                return await self._run(statement)
            except _Broken:
                return await self._run(statement)

    async def write(self, statement: Statement[Result]) -> Result:
        """Run a statement that writes; never twice, for nobody knows whether a broken one was committed."""
        async with self._outages():
            return await self._run(statement)

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close()

    @asynccontextmanager
    async def _outages(self) -> AsyncIterator[None]:
        try:
            async with Deadline(self._trip_seconds):
                yield
        except TimeoutError as error:
            self._drop()
            raise Outage("the database did not answer in time") from error
        except (_Broken, *AWAY) as error:
            self._tell_outage(error.__cause__ or error)
            raise Outage("the database is away") from error

    async def _run(self, statement: Statement[Result]) -> Result:
        was_open = self._is_open()
        connection = await self._connected()
        try:
            return await statement(connection)
        except AWAY as error:
            if was_open and connection.closed:
                raise _Broken from error
            raise

    async def _connected(self) -> psycopg.AsyncConnection:
        async with self._connecting:
            if self._connection is None or self._connection.closed:
                self._connection = await self._connect(self._url, autocommit=True)
            return self._connection

    def _is_open(self) -> bool:
        return self._connection is not None and not self._connection.closed

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.pgconn.finish()
            self._connection = None


class _Broken(Exception):
    """The connection was open before the statement and is closed after it."""
