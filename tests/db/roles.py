"""The roles that `deploy/postgres/roles.sql` makes, on a database of a test's own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import errors, sql

from app.db.embedded import installed_bin_dir
from tests.live import REPOSITORY

PSQL = installed_bin_dir() / "psql"
FILE = REPOSITORY / "deploy/postgres/roles.sql"
OWNER, APP, MAINTENANCE, MONITOR = (
    "license_server_owner",
    "license_server",
    "license_server_maintenance",
    "license_server_monitor",
)


@dataclass(frozen=True, slots=True)
class Roles:
    """The addresses of one database for each role."""

    superuser: str
    owner: str
    app: str
    maintenance: str
    monitor: str


def make_roles(superuser_url: str) -> Roles:
    """Run the file in this database."""
    subprocess.run(
        [str(PSQL), "-X", "-d", superuser_url, "-f", str(FILE)],
        env={"PATH": os.environ["PATH"]},
        check=True,
        capture_output=True,
        timeout=60,
    )
    return Roles(superuser_url, *(as_role(superuser_url, role) for role in (OWNER, APP, MAINTENANCE, MONITOR)))


def as_role(url: str, role: str) -> str:
    """The same database for another role."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}"))


@contextmanager
def database_with_roles(server_url: str, name: str) -> Iterator[Roles]:
    """An empty database with the roles; database and roles are gone afterwards."""
    parts = urlsplit(server_url)
    url = urlunsplit(parts._replace(path=f"/{name}"))
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield make_roles(url)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
            for role in (MAINTENANCE, MONITOR, APP, OWNER):
                with suppress(errors.DependentObjectsStillExist):  # another database of the run still has them
                    connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))
