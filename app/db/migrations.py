"""Bringing the schema to its newest revision, one process at a time."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from app.db.errors import translated
from app.domain.errors import Unavailable

MIGRATIONS_FOLDER = Path(__file__).resolve().parents[2] / "migrations"
LOCK_NUMBER = 0x6C6963656E7365
LOCK_WAIT_SECONDS = 300.0
_LOCK_POLL_SECONDS = 0.1

logger = logging.getLogger(__name__)


class MigrationLockTimeout(Unavailable):
    """Another process is migrating this database for longer than we may wait; try again later."""

    code = "MIGRATION_LOCK_TIMEOUT"


def head_revision() -> str:
    """The newest revision that this release knows."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None, "there is at least one migration"
    return head


def is_known(revision: str) -> bool:
    """Whether this release knows a revision, so that a database of it can be brought to the newest."""
    try:
        return ScriptDirectory.from_config(_config()).get_revision(revision) is not None
    except CommandError:
        return False


def migrate(url: str) -> tuple[str | None, str]:
    """Bring the schema to head under an advisory lock; gives the revisions before and after.

    A second process waits for the first, for up to five minutes, then raises MigrationLockTimeout.
    """
    engine = create_engine("postgresql+psycopg://", creator=lambda: _connect(url), poolclass=NullPool)
    with translated(), engine.connect() as connection:
        _take_lock(connection)
        try:
            before = _revision(connection)
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            return before, head_revision()
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:number)"), {"number": LOCK_NUMBER})


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS_FOLDER).replace("%", "%%"))
    return config


def _connect(url: str) -> psycopg.Connection:
    return psycopg.connect(url, connect_timeout=5, application_name="license-server-migrate", options="-c TimeZone=UTC")


def _take_lock(connection: Connection) -> None:
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    has_waited = False
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:number)"), {"number": LOCK_NUMBER}):
        connection.rollback()
        if time.monotonic() > deadline:
            raise MigrationLockTimeout
        if not has_waited:
            logger.info("Another process is migrating the database; waiting for it")
        has_waited = True
        time.sleep(_LOCK_POLL_SECONDS)
    connection.rollback()


def _revision(connection: Connection) -> str | None:
    if connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision
