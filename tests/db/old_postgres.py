"""The oldest PostgreSQL that we support, where the machine has it installed."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

PROGRAMS = Path("/usr/lib/postgresql/15/bin")


def find_old_postgres() -> list[str]:
    """The folder of its programs, or nothing."""
    return [str(PROGRAMS)] if (PROGRAMS / "initdb").exists() else []


class OldPostgres:
    """A running PostgreSQL in a temporary folder, with a superuser `postgres` and no password."""

    def __init__(self, programs: str) -> None:
        self._programs = Path(programs)
        self._folder = Path(tempfile.mkdtemp(prefix="pg-old-"))
        self.url = f"postgresql://postgres@/postgres?host={self._folder}&port=5432"

    def __enter__(self) -> OldPostgres:
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(self._folder, account.pw_uid, account.pw_gid)
        self._run("initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
        options = f"-c listen_addresses='' -c unix_socket_directories='{self._folder}' -c fsync=off"
        self._run("pg_ctl", "start", "-D", "data", "-w", "-l", "log", "-o", options)
        return self

    def __exit__(self, *error: object) -> None:
        self._run("pg_ctl", "stop", "-D", "data", "-m", "immediate", "-w")
        shutil.rmtree(self._folder)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._programs / program), *arguments],
            cwd=self._folder,
            user="postgres" if os.geteuid() == 0 else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=60,
        )
