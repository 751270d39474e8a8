"""A direct connection: past any pooler, a session of its own for one run, whose lock tells that the run lives."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql
from psycopg.errors import Diagnostic, QueryCanceled
from psycopg.pq import TransactionStatus

from app.db.deadline import Deadline
from app.db.errors import translated
from app.db.locks import lock_number
from app.domain.errors import DatabaseUnavailable

CONNECT_SECONDS = 5.0
APPLICATION_NAME = "license-server-maintenance"
LOCK_SECONDS = 3.0
SESSION_ENDED = (
    "The database ended the session that did it: it was restarted, or somebody terminated it; start it again."
)
STATEMENT_ENDED = "The database ended its statement: somebody cancelled it there, or it took longer than it may."

_SESSION_OPTIONS = " ".join(
    f"-c {name}={value}"
    for name, value in {
        "TimeZone": "UTC",
        "lock_timeout": f"{LOCK_SECONDS:.0f}s",
        "jit": "off",  # many short looks at the catalogs, whose costs the planner overestimates
        # Limits that somebody set for the role or the database are meant for requests.
        "statement_timeout": "0",
        "idle_session_timeout": "0",
        "idle_in_transaction_session_timeout": "60s",
        # A client that was killed is noticed in the midst of a statement too, so that its lock is free at once.
        "client_connection_check_interval": "1s",
        "tcp_keepalives_idle": "5",
        "tcp_keepalives_interval": "2",
        "tcp_keepalives_count": "3",
    }.items()
)

# A limit of PostgreSQL 17 and later, which older ones would refuse to be told of.
_NO_TRANSACTION_TIMEOUT = "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout'"

Query = sql.SQL | sql.Composed


@dataclass(frozen=True, slots=True)
class Notice:
    """What the server said beside the answer; `severity` is WARNING, NOTICE or INFO."""

    severity: str
    sqlstate: str
    message: str


@dataclass(slots=True)
class DirectConnection:
    """Runs statements one by one, each in a transaction of its own unless `transaction` says otherwise."""

    connection: psycopg.AsyncConnection
    notices: list[Notice] = field(default_factory=list)

    @property
    def pid(self) -> int:
        """The process id of the session at the database, as the progress views show it."""
        return self.connection.info.backend_pid

    @property
    def major(self) -> int:
        """18 of a server of version 18.6."""
        return self.connection.info.server_version // 10_000

    @property
    def is_open(self) -> bool:
        """Whether the session, and with it its locks, is still there as far as the database has told."""
        if not self.connection.closed and not self.connection.lock.locked():
            with suppress(psycopg.Error):
                self.connection.pgconn.consume_input()  # while no statement is under way nobody else would hear it
        return not self.connection.closed

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise what the house knows, as everywhere in the store, and say so when this session was ended."""
        with translated():
            try:
                yield
            except QueryCanceled as error:
                raise DatabaseUnavailable(STATEMENT_ENDED) from error
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                if self.is_open:
                    raise
                raise DatabaseUnavailable(SESSION_ENDED) from error

    async def move(self, url: str) -> None:
        """Go on in a new session there; the one before is its owner's to close. Raises DatabaseUnavailable."""
        connection = await _connect(url)
        try:
            with translated():
                await connection.execute(_NO_TRANSACTION_TIMEOUT, prepare=False)
        except BaseException:
            await connection.close()
            raise
        connection.add_notice_handler(self.add_notice)
        self.connection = connection

    async def try_hold(self, name: str) -> bool:
        """Hold this name as long as the session lives; False, at once, when another one holds it."""
        with self.translated():
            [[got]] = await self.execute(sql.SQL("SELECT pg_try_advisory_lock(%s)"), [lock_number(name)])
        return bool(got)

    async def execute(
        self, query: Query, parameters: Sequence[Any] | Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        """The rows of a statement, none for one without rows; what psycopg raises is raised as it is."""
        cursor = await self.connection.execute(query, parameters, prepare=False)
        return await cursor.fetchall() if cursor.description is not None else []

    @asynccontextmanager
    async def limits(
        self, *, lock_seconds: float = LOCK_SECONDS, statement_seconds: float = 0.0
    ) -> AsyncIterator[None]:
        """Meanwhile a statement waits so long for a lock, and takes so long altogether (0: without a limit)."""
        await self._set_limits(lock_seconds, statement_seconds)
        try:
            yield
        finally:
            # A statement that was broken off half-way occupies the session: what broke it off is what counts.
            if self.is_open and self.connection.info.transaction_status is not TransactionStatus.ACTIVE:
                await self._set_limits(LOCK_SECONDS, 0.0)

    def take_notices(self) -> list[Notice]:
        """What the server said since the last time."""
        taken, self.notices[:] = list(self.notices), []
        return taken

    def add_notice(self, diagnostic: Diagnostic) -> None:
        """Remember what the server says."""
        severity = diagnostic.severity_nonlocalized or "NOTICE"
        self.notices.append(Notice(severity, diagnostic.sqlstate or "", diagnostic.message_primary or ""))

    async def _set_limits(self, lock_seconds: float, statement_seconds: float) -> None:
        for name, seconds in (("lock_timeout", lock_seconds), ("statement_timeout", statement_seconds)):
            await self.execute(sql.SQL("SELECT set_config(%s, %s, false)"), [name, f"{round(seconds * 1000)}ms"])


@asynccontextmanager
async def direct_connection(url: str) -> AsyncIterator[DirectConnection]:
    """A direct connection meanwhile; raises DatabaseUnavailable when there is none within 5 s."""
    direct = DirectConnection(await _connect(url))
    direct.connection.add_notice_handler(direct.add_notice)
    try:
        with direct.translated():
            await direct.execute(sql.SQL(_NO_TRANSACTION_TIMEOUT))
        yield direct
    finally:
        await direct.connection.close()


async def _connect(url: str) -> psycopg.AsyncConnection:
    with translated():
        async with Deadline(CONNECT_SECONDS):
            return await psycopg.AsyncConnection.connect(
                url,
                autocommit=True,
                application_name=APPLICATION_NAME,
                options=_SESSION_OPTIONS,
                tcp_user_timeout=15000,
            )
