"""`license-server serve`: prepare the database, say where the server is, serve, and stop cleanly."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

import uvicorn
from uvicorn.supervisors import Multiprocess

from app.cli.context import one_sentence
from app.cli.database import FirstOperator, make_first_operator, tell_credentials
from app.cli.output import say
from app.db.migrations import migrate
from app.domain.errors import DatabaseUnavailable
from app.runtime import database_url
from app.settings import Settings, load_settings
from app.telemetry.logging import configure_logging
from app.telemetry.multiprocess import prepare_multiprocess_dir

PREPARE_SECONDS = 30.0
PAUSE_SECONDS = 1.0
GRACE_SECONDS = 15
KEEP_ALIVE_SECONDS = 75


def serve() -> None:
    """Run the server until ctrl-C or SIGTERM."""
    with one_sentence():
        settings = load_settings()
        configure_logging(settings.log_level, settings.log_format)
        with _stoppable(), database_url(settings) as url:
            operator = _prepare(settings, url)
            _greet(settings, operator)
            _run(settings)


@contextmanager
def _stoppable() -> Iterator[None]:
    """Turn a signal that comes outside of uvicorn into an ordinary end, so that our PostgreSQL is stopped as well."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _prepare(settings: Settings, url: str) -> FirstOperator | None:
    """Migrate and make the first operator; a database that is still starting is waited for, half a minute long."""
    if not settings.database_migrate_on_start:
        return None
    deadline = time.monotonic() + PREPARE_SECONDS
    while True:
        try:
            migrate(url)
            return make_first_operator(settings, url)
        except DatabaseUnavailable:
            if time.monotonic() > deadline:
                raise
        time.sleep(PAUSE_SECONDS)


def _greet(settings: Settings, operator: FirstOperator | None) -> None:
    """Where the server is and what to try, on stderr: stdout is for log lines."""
    address = f"http://{'localhost' if settings.host in {'127.0.0.1', '0.0.0.0'} else settings.host}:{settings.port}"  # noqa: S104
    say(f"iTechSmart License Server at {address}")
    tell_credentials(operator)
    if operator is not None and operator.was_generated:
        say("Sign in:")
        say(
            f"curl -s {address}/api/auth/login -H 'Content-Type: application/json' "
            f'-d \'{{"email": "{operator.email}", "password": "{operator.password}"}}\''
        )
    say(f"Try: curl -s {address}/health")
    ignored = settings.ignored_names()
    if ignored:
        say(f"These settings have no effect in this release yet: {', '.join(ignored)}")


def _run(settings: Settings) -> None:
    with _metrics_folder(settings):
        config = uvicorn.Config(
            "app.main:app",
            host=settings.host,
            port=settings.port,
            workers=settings.web_concurrency,
            loop="uvloop",
            http="httptools",
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
            Multiprocess(config, sockets=[config.bind_socket()]).run()
            return
        server = uvicorn.Server(config)
        server.run()
        if not server.started:
            sys.exit(1)


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
