"""The database as the house sees it: connections, transactions, and whether it answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any, Protocol

import psycopg
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import QueuePool

from app.db.deadline import Deadline
from app.db.errors import translated
from app.domain.diagnostics.connections import Pool
from app.settings import Settings
from app.telemetry import metrics

CHECKOUT_SECONDS = 1.5
POOL_WAIT_SECONDS = 1.2  # less than CHECKOUT_SECONDS, so that a full pool is told (and counted) as one
TRANSACTION_SECONDS = 10.0
APPLICATION_NAME = "license-server"
OPERATIONS = frozenset({"select", "insert", "update", "delete"})
OTHER_OPERATION = "other"

SESSION_SETTINGS: Mapping[str, str] = {
    "TimeZone": "UTC",
    "statement_timeout": "8s",
    "lock_timeout": "3s",
    "idle_in_transaction_session_timeout": "15s",
}
"""What every session of ours works with; behind a pooler the role must bring it along (deploy/postgres/roles.sql)."""

_SESSION_OPTIONS = " ".join(f"-c {name}={value}" for name, value in SESSION_SETTINGS.items())
_HOW: Mapping[str, Any] = {
    "application_name": APPLICATION_NAME,
    "connect_timeout": 2,
    "tcp_user_timeout": 5000,
    "keepalives_idle": 30,
}


class Connect(Protocol):
    """A way to open a connection; raises psycopg.OperationalError or TimeoutError."""

    def __call__(self, url: str, *, autocommit: bool = False) -> Awaitable[psycopg.AsyncConnection]: ...


async def connect(url: str, *, autocommit: bool = False) -> psycopg.AsyncConnection:
    """A new connection with our time limits."""
    async with Deadline(CHECKOUT_SECONDS):
        return await psycopg.AsyncConnection.connect(url, autocommit=autocommit, options=_SESSION_OPTIONS, **_HOW)


async def connect_perhaps_pooled(url: str, *, autocommit: bool = False) -> psycopg.AsyncConnection:
    """A new connection, perhaps through a transaction-mode pooler: then nothing is prepared, and limits are the role's.

    Without a pooler it is like one from `connect`; to find that out takes two trips more.
    """
    async with Deadline(CHECKOUT_SECONDS):
        connection = await psycopg.AsyncConnection.connect(url, autocommit=True, **_HOW)
        try:
            if await is_pooled(connection):
                connection.prepare_threshold = None
            else:
                await _set_session(connection)
            await connection.set_autocommit(autocommit)
        except BaseException:
            connection.pgconn.finish()
            raise
        return connection


async def is_pooled(connection: psycopg.AsyncConnection) -> bool:
    """Whether a pooler is in between: the process id in its greeting is one that it made up."""
    cursor = await connection.execute("SELECT pg_backend_pid()", prepare=False)
    return await cursor.fetchone() != (connection.info.backend_pid,)


async def _set_session(connection: psycopg.AsyncConnection) -> None:
    await connection.execute(
        "SELECT set_config(name, setting, false) FROM unnest(%s::text[], %s::text[]) AS ours (name, setting)",
        [list(SESSION_SETTINGS), list(SESSION_SETTINGS.values())],
        prepare=False,
    )


def connector(settings: Settings) -> Connect:
    """How this server connects: with a direct address set, the other one may lead through a pooler."""
    return connect if settings.database_direct_url is None else connect_perhaps_pooled


class Database:
    """The pool of connections of this process."""

    def __init__(self, url: str, *, pool_size: int, connect: Connect = connect) -> None:
        self.url = url
        self._engine = _make_engine(url, pool_size, connect)
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session in a transaction that is committed at the end, or rolled back when the block raises.

        Raises DatabaseUnavailable when the pool is full for 1.2 s, the database does not answer in 1.5 s or the block
        takes more than 10 s, and the DomainError of a broken constraint.
        """
        with translated():
            async with Deadline(TRANSACTION_SECONDS), self._sessions() as session:
                async with Deadline(CHECKOUT_SECONDS):
                    await session.connection()
                yield session
                await session.commit()

    def pool(self) -> Pool:
        """The state of the pool at the moment."""
        pool = self._engine.pool
        assert isinstance(pool, QueuePool), "the pool has a size"
        return Pool(size=pool.size(), in_use=pool.checkedout(), idle=pool.checkedin())

    def observe_pool(self) -> None:
        """Write the state of the pool into its gauges."""
        pool = self.pool()
        metrics.db_pool_connections.labels("in_use").set(pool.in_use)
        metrics.db_pool_connections.labels("idle").set(pool.idle)

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


def _make_engine(url: str, pool_size: int, connect: Connect) -> AsyncEngine:
    engine = create_async_engine(
        "postgresql+psycopg://",
        async_creator=lambda: connect(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_WAIT_SECONDS,
        pool_pre_ping=True,
        pool_use_lifo=True,
        hide_parameters=True,
    )
    _time_queries(engine)
    return engine


def _time_queries(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def start(conn, cursor, statement, parameters, context, executemany):  # type: ignore[no-untyped-def]
        context.started_at = perf_counter()

    @event.listens_for(engine.sync_engine, "after_cursor_execute")
    def stop(conn, cursor, statement, parameters, context, executemany):  # type: ignore[no-untyped-def]
        operation = statement.lstrip()[:6].lower()
        metrics.db_query_duration.labels(operation if operation in OPERATIONS else OTHER_OPERATION).observe(
            perf_counter() - context.started_at
        )
