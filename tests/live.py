"""A real server process: start it, ask it, signal it, read its lines."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import psutil

from app.settings import RateLimitPolicy
from tests.commands import run_command

REPOSITORY = Path(__file__).resolve().parents[1]
NO_RATE_LIMITS = {f"RATE_LIMIT_{policy.upper()}": "off" for policy in RateLimitPolicy}
START_SECONDS = 60.0
STOP_SECONDS = 40.0


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until(is_true: Callable[[], bool], wish: str, seconds: float = 60.0) -> None:
    """Look again and again until it is true; an AssertionError names the wish when it is not in time."""
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, f"not within {seconds} s: {wish}"
        time.sleep(0.02)


class LiveServer:
    """`license-server serve` in a process of its own; entered when it is ready, stopped when left."""

    def __init__(self, folder: Path, environment: dict[str, str], port: int) -> None:
        self.folder = folder
        self.environment = environment
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.url, timeout=30)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> LiveServer:
        self.start()
        self.wait_until_ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        if self._process is not None and self._process.poll() is None:
            self.stop()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running process."""
        assert self._process is not None, "the server was started"
        return self._process

    def start(self) -> None:
        """Start the process; its output is appended to files."""
        with self.stdout_path.open("ab") as out, self.stderr_path.open("ab") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app", "serve"],
                cwd=self.folder,
                env=self.full_environment(),
                stdout=out,
                stderr=err,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def full_environment(self) -> dict[str, str]:
        """The environment of the process and of commands beside it."""
        base = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL") if name in os.environ}
        return {**base, **NO_RATE_LIMITS, "PYTHONPATH": str(REPOSITORY), "PORT": str(self.port), **self.environment}

    def wait_until_ready(self) -> None:
        """Wait until /readyz is 200; an AssertionError shows what the server said if it isn't in time."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                if httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"the server is not ready:\n{self.stderr()}\n{self.stdout_path.read_text()}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit status."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)

    def wait_for_end(self) -> int:
        """Wait for an end that was asked for otherwise, or comes by itself; the exit status."""
        return self.process.wait(STOP_SECONDS)

    def interrupt(self) -> int:
        """Press ctrl-C: the terminal sends SIGINT to the whole process group; the exit status."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.wait_for_end()

    def wait_until_said(self, text: str) -> None:
        """Wait until a sentence for people or a log line holds the text."""
        wait_until(lambda: text in self.stderr() + self.stdout_path.read_text(), f"the server says {text!r}")

    def children(self) -> list[psutil.Process]:
        """The worker processes, oldest first."""
        found = [
            child for child in psutil.Process(self.process.pid).children() if "spawn_main" in " ".join(child.cmdline())
        ]
        return sorted(found, key=psutil.Process.create_time)

    def postgres_processes(self) -> list[psutil.Process]:
        """The living processes of the embedded PostgreSQL in this server's folder, the postmaster first."""
        found = [process for process in psutil.process_iter() if _is_postgres_in(process, self.folder)]
        return sorted(found, key=psutil.Process.create_time)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another `license-server` command in the same environment."""
        return run_command(arguments, self.folder, self.full_environment())

    def json(self, *arguments: str) -> Any:
        """What a command prints with --json; an AssertionError shows what it said if it failed."""
        done = self.command(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @property
    def stdout_path(self) -> Path:
        """Where the log lines go."""
        return self.folder / "server.log"

    @property
    def stderr_path(self) -> Path:
        """Where the sentences for people go."""
        return self.folder / "server.err"

    def stderr(self) -> str:
        """What was said to people so far."""
        return self.stderr_path.read_text()

    def lines(self) -> list[dict[str, Any]]:
        """All log lines so far; every one of them must be JSON."""
        return [json.loads(line) for line in self.stdout_path.read_text().splitlines()]


def _is_postgres_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.name() == "postgres" and Path(process.cwd()).is_relative_to(folder)
    except psutil.Error:
        return False
