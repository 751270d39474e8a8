"""`license-server serve`: take the port, prepare the database, say where the server is, serve, and stop cleanly."""

from __future__ import annotations

import json
import logging
import os
import shlex
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from socket import socket
from tempfile import TemporaryDirectory
from types import FrameType

import uvicorn

from app.cli.context import one_sentence
from app.cli.database import FirstOperator, prepare_installation, tell_credentials
from app.cli.listening import bound_sockets, server_address
from app.cli.output import say
from app.cli.workers import Workers
from app.db.migrations import migrate
from app.domain.errors import DatabaseUnavailable
from app.limiter import check_store_address
from app.runtime import database_url, open_vault
from app.settings import Settings, load_settings
from app.telemetry.logging import configure_logging, log
from app.telemetry.multiprocess import prepare_multiprocess_dir

PREPARE_SECONDS = 30.0
PAUSE_SECONDS = 1.0
GRACE_SECONDS = 15
KEEP_ALIVE_SECONDS = 75

logger = logging.getLogger(__name__)


def serve() -> None:
    """Run the server until ctrl-C or SIGTERM."""
    with one_sentence():
        settings = load_settings()
        configure_logging(settings.log_level, settings.log_format)
        with (
            _stoppable(),
            bound_sockets(settings.host, settings.port) as sockets,
            database_url(settings, may_create=True) as url,
            _metrics_folder(settings),
        ):
            _check_rate_limits(settings)
            operator = _prepare(settings, url)
            _greet(settings, server_address(settings.host, sockets[0].getsockname()[1]), operator)
            _run(settings, sockets)


@contextmanager
def _stoppable() -> Iterator[None]:
    """Turn a signal that comes outside of uvicorn into an ordinary end, so that our PostgreSQL is stopped as well."""
    numbers = (signal.SIGINT, signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)  # the end is under way, and each of its waits has an end
        raise SystemExit(0)

    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _metrics_folder(settings: Settings) -> Iterator[None]:
    """Several processes count in files of one folder, emptied at the start; one process counts in memory."""
    if settings.web_concurrency == 1:
        yield
        return
    with TemporaryDirectory(prefix="license-server-metrics-") as folder:
        prepare_multiprocess_dir(Path(folder))
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        yield


def _prepare(settings: Settings, url: str) -> FirstOperator | None:
    """Migrate and make the first operator; a database that is still starting is waited for, half a minute long."""
    open_vault(settings)  # a key that cannot be read is told here in one sentence, and not by each worker
    if not settings.database_migrate_on_start:
        log(logger, logging.WARNING, "Not migrating, as DATABASE_MIGRATE_ON_START says; /readyz tells what is missing")
        return None
    deadline = time.monotonic() + PREPARE_SECONDS
    while True:
        try:
            migrate(settings.direct_url(url))
            return prepare_installation(settings, url)
        except DatabaseUnavailable as error:
            reason = _reason(error)
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(f"The database does not answer ({reason}); see DATABASE_URL.") from error
            log(logger, logging.WARNING, "Waiting for the database", event="database_wait", reason=reason)
        time.sleep(PAUSE_SECONDS)


def _check_rate_limits(settings: Settings) -> None:
    check_store_address(settings)
    if settings.web_concurrency > 1 and settings.redis_url is None and any(settings.rate_limits.values()):
        log(
            logger,
            logging.WARNING,
            "Each of the WEB_CONCURRENCY processes counts rate limits alone; with REDIS_URL set they share one count",
            event="rate_limits_not_shared",
            processes=settings.web_concurrency,
        )


def _reason(error: DatabaseUnavailable) -> str:
    """What the driver said: it names host, port and user, and never a password."""
    cause = getattr(error.__cause__, "orig", None) or error.__cause__ or error
    return " ".join(str(cause).split())[:300]


def _greet(settings: Settings, address: str, operator: FirstOperator | None) -> None:
    """Where the server is and what to try, on stderr: stdout is for log lines."""
    say(f"iTechSmart License Server at {address}")
    tell_credentials(operator)
    if operator is not None and operator.was_generated:
        body = json.dumps({"email": operator.email, "password": operator.password})
        say("Sign in:")
        say(f"curl -s {address}/api/auth/login -H 'Content-Type: application/json' -d {shlex.quote(body)}")
    say(f"Try: curl -s {address}/health")
    ignored = settings.ignored_names()
    if ignored:
        say(f"These settings have no effect in this release yet: {', '.join(ignored)}")


def _leave_it_to_the_server(number: int, frame: FrameType | None) -> None:
    """uvicorn has its own handlers while it serves, and raises their signals again when it has ended."""


def _run(settings: Settings, sockets: Sequence[socket]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave_it_to_the_server)
    config = uvicorn.Config(
        "app.main:app",
        workers=settings.web_concurrency,
        loop="uvloop",
        http="app.web.protocol:BoundedProtocol",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    if settings.web_concurrency > 1:
        Workers(config, sockets=list(sockets)).run()
        return
    uvicorn.Server(config).run(sockets=list(sockets))
