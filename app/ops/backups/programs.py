"""pg_dump and pg_restore as children of ours: never a password on their command line, nor a child that outlives us."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, TypeVar

from app.db.tools import connection_environment, find_fitting_tool, find_newest_tool, libpq_variables
from app.domain.backups import BackupUnavailable

NICENESS = 10
LONGEST_COMPLAINT = 600
CONNECT_SECONDS = "10"
NOT_PASSED_ON = frozenset({"PGOPTIONS", "PGAPPNAME"})
"""libpq's variables that our own sessions, which say these themselves, do not follow either."""

Result = TypeVar("Result")


class ToolMissing(BackupUnavailable):
    """PostgreSQL's client programs are not installed here, or are older than the server."""

    code = "TOOL_MISSING"


class ToolFailed(BackupUnavailable):
    """pg_dump or pg_restore ended with an error."""

    code = "TOOL_FAILED"


@dataclass(slots=True)
class Child:
    """A program that runs; `complaints` is what it has said on stderr."""

    process: subprocess.Popen[bytes]
    name: str
    stderr: IO[bytes]

    @property
    def stdout(self) -> BinaryIO:
        """What it says."""
        assert self.process.stdout is not None, "it was started with a pipe"
        return self.process.stdout  # type: ignore[return-value]

    @property
    def stdin(self) -> BinaryIO:
        """What it is told."""
        assert self.process.stdin is not None, "it was started with a pipe"
        return self.process.stdin  # type: ignore[return-value]

    def complaints(self) -> str:
        """What it has said on stderr so far."""
        self.stderr.seek(0)
        return self.stderr.read().decode(errors="replace")

    def kill(self) -> None:
        """End it now; its pipes end with it, and with them the thread that waits at one."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)

    def require_success(self) -> None:
        """Wait for its end; raises ToolFailed, with what it complained of, unless it ended well."""
        status = self.process.wait()
        if status != 0:
            said = " ".join(self.complaints().split())[:LONGEST_COMPLAINT]
            raise ToolFailed(f"{self.name} failed ({status}): {said or 'it said nothing'}")


def require_tool(name: str, major: int) -> tuple[Path, str]:
    """The program that fits a server, or a file, of this major version best, and its version; raises ToolMissing."""
    found = find_fitting_tool(name, major)
    if found is None:
        newest = find_newest_tool(name)
        there = f"{name} here is of PostgreSQL {newest[1]}" if newest else f"There is no {name} here"
        raise ToolMissing(
            f"{there}, and one of {major} or later is needed, as the server or the file is: install"
            f" postgresql-client-{major}."
        )
    return found


def require_newest_tool(name: str) -> tuple[Path, str]:
    """The newest program of this name, and its version; raises ToolMissing."""
    found = find_newest_tool(name)
    if found is None:
        raise ToolMissing(f"There is no {name} here: install PostgreSQL's client programs.")
    return found


@contextmanager
def started(program: Path, arguments: Sequence[str], url: str | None = None) -> Iterator[Child]:
    """A program that runs meanwhile, at the lowest priority that still gets its turn; killed if it has not ended."""
    environment = {**_own_environment(), **(_connection_environment(url) if url else {})}
    with tempfile.TemporaryFile() as stderr:
        process = _start(program, arguments, stderr, environment)
        with process:
            os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
            child = Child(process, program.name, stderr)
            try:
                yield child
            finally:
                child.kill()


async def in_thread(work: Callable[[], Result], stop: Callable[[], None]) -> Result:
    """What blocking work gives; when we are told to stop, `stop` ends it, and we wait for that."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop()
        await asyncio.wait({task})
        with suppress(Exception):  # that it was stopped is no news
            task.result()
        raise


def _start(
    program: Path, arguments: Sequence[str], stderr: IO[bytes], environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment,
            start_new_session=True,  # ctrl-C is for us, who end it in order
        )
    except OSError as error:
        raise ToolMissing(f"{program} can't be started: {error.strerror or error}.") from error


def _own_environment() -> Mapping[str, str]:
    """What a program gets from us: none of our secrets."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH") if name in os.environ} | {
        "LC_MESSAGES": "C",
        "LC_ALL": "C.UTF-8",
    }


def _connection_environment(url: str) -> Mapping[str, str]:
    """What leads a program to where our own sessions are: what the address does not say, libpq's variables do."""
    ours = {name: os.environ[name] for name in libpq_variables() - NOT_PASSED_ON if name in os.environ}
    return {"PGCONNECT_TIMEOUT": CONNECT_SECONDS} | ours | dict(connection_environment(url))
