"""A PostgreSQL that tests freeze, kill and start again."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg

from app.db.embedded import EmbeddedPostgres, acquire


class Stoppable:
    """A PostgreSQL of the test's own."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._server: EmbeddedPostgres = acquire(data_dir)
        self.url = self._server.url

    def processes(self) -> list[psutil.Process]:
        """The main process and all that it started."""
        main = psutil.Process(int((self._data_dir / "postgres" / "postmaster.pid").read_text().split()[0]))
        return [main, *main.children(recursive=True)]

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Nothing answers and nothing breaks, as when a machine hangs."""
        processes = self.processes()
        for process in processes:
            os.kill(process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in reversed(processes):
                os.kill(process.pid, signal.SIGCONT)

    def stop(self) -> None:
        """Stop the server in an orderly way."""
        self._server.release()

    def start(self) -> None:
        """Start the server again."""
        self._server = acquire(self._data_dir)

    def end_connections(self) -> int:
        """End every connection of the license server from the server's side; gives their number."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'license-server'"
            ).rowcount

    def set(self, option: str, value: str) -> None:
        """Change a setting for new connections."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET {option} = '{value}'".encode())
            connection.execute("SELECT pg_reload_conf()")
