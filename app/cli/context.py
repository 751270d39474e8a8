"""What every command needs: settings, a database, and errors told as one sentence."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, TypeVar

import typer

from app.cli.output import fail
from app.db.embedded import EmbeddedPostgresError
from app.db.session import Session
from app.domain.errors import DatabaseUnavailable, DomainError, SchemaOutdated
from app.ops.health import Check, check_readiness
from app.runtime import Runtime, database_url, open_runtime
from app.settings import Settings, SettingsError, load_settings
from app.telemetry.logging import configure_logging
from app.telemetry.values import printable
from app.vault import VaultError

Result = TypeVar("Result")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Cursor = Annotated[str | None, typer.Option(help="nextCursor of the page before.")]


@contextmanager
def one_sentence() -> Iterator[None]:
    """End with one sentence on stderr and exit code 1 where something known goes wrong."""
    try:
        yield
    except (SettingsError, EmbeddedPostgresError, VaultError) as error:
        fail(str(error))
    except DomainError as error:
        fail(printable(f"{error.message} ({error.code})"))


def command_settings() -> Settings:
    """The settings, with logs on stderr for warnings alone: a command's output is its own."""
    settings = load_settings()
    quiet_logs()
    return settings


def quiet_logs() -> None:
    """Log warnings alone, on stderr: a command's output is its own."""
    configure_logging("warn", "console", typer.get_text_stream("stderr"))
    logging.getLogger("app.db.errors").disabled = True  # a command tells of an outage in its one sentence


def run(work: Callable[[Session, Runtime], Awaitable[Result]]) -> Result:
    """Run a command's work in one transaction."""

    async def in_transaction(runtime: Runtime) -> Result:
        async with runtime.database.transaction() as tx:
            return await work(tx, runtime)

    return run_long(in_transaction)


def run_long(work: Callable[[Runtime], Awaitable[Result]]) -> Result:
    """Run a command's work that opens its own transactions, on the running server's database or one of our own.

    SIGTERM ends it as ctrl-C does: what is under way is cancelled and leaves nothing behind.
    """

    async def with_ready_database(runtime: Runtime) -> Result:
        await _require_ready_database(runtime)
        return await work(runtime)

    return run_anyway(with_ready_database)


def run_anyway(work: Callable[[Runtime], Awaitable[Result]], *, may_create: bool = False) -> Result:
    """Run a command's work that copes with a database that is away, or whose schema is another."""
    with one_sentence():
        settings = command_settings()
        with database_url(settings, may_create=may_create) as url:
            try:
                return asyncio.run(_with_runtime(settings, url, work))
            except asyncio.CancelledError:
                raise SystemExit(128 + signal.SIGTERM) from None


async def _with_runtime(settings: Settings, url: str, work: Callable[[Runtime], Awaitable[Result]]) -> Result:
    task = asyncio.current_task()
    assert task is not None, "asyncio.run makes a task"
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with open_runtime(settings, url) as runtime:
        return await work(runtime)


async def _require_ready_database(runtime: Runtime) -> None:
    readiness = await check_readiness(runtime.probe_lane, head_revision=runtime.head_revision, is_draining=False)
    if Check.DATABASE in readiness.failed:
        raise DatabaseUnavailable
    if Check.SCHEMA in readiness.failed:
        raise SchemaOutdated(readiness.failed[Check.SCHEMA])
