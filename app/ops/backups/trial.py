"""A trial installation: an own empty folder with an own PostgreSQL, in which commands run as on a new machine."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import httpx
import psutil

import app
from app.db.embedded import EmbeddedPostgresError, stop_abandoned
from app.domain.backups import BackupUnavailable

PREFIX = "drill-"
_FOLDER_NAME = re.compile(rf"{PREFIX}[0-9a-f]{{12}}")
START_SECONDS = 120.0
STOP_SECONDS = 40.0
KILL_SECONDS = 10.0
COMMAND_SECONDS = 6 * 3600.0
PAUSE_SECONDS = 0.1
LONGEST_COMPLAINT = 600

_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "TZ")

Result = TypeVar("Result")


class TrialFailed(BackupUnavailable):
    """A step of the drill failed, as a recovery would have; its message says what the command said."""

    code = "DRILL_FAILED"


@dataclass(slots=True)
class Trial:
    """A folder of its own; `settings` is all that its commands are told, and nothing of ours is among it."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def data_dir(self) -> Path:
        """The DATA_DIR of the trial."""
        return self.folder / "data"

    @property
    def backup_dir(self) -> Path:
        """Where the trial looks for backups; files that are put there are its own."""
        return self.folder / "backups"

    async def command(self, *arguments: str, said: str = "") -> str:
        """What `license-server` says on stdout; raises TrialFailed, with its last words, when it fails."""
        with self._started(arguments, {}) as process:
            try:
                stdout, _ = await _in_thread(lambda: process.communicate(said.encode(), COMMAND_SECONDS), process)
            except subprocess.TimeoutExpired as error:
                raise TrialFailed(
                    f"`license-server {arguments[0]}` took longer than {COMMAND_SECONDS:.0f} s."
                ) from error
        if process.returncode != 0:
            raise TrialFailed(f"`license-server {' '.join(arguments[:2])}` failed: {self._complaint()}")
        return stdout.decode()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """A server meanwhile, which is ready; its address. Raises TrialFailed when it does not become ready."""
        port = _free_port()
        with self._started(["serve"], {"HOST": "127.0.0.1", "PORT": str(port)}) as process:
            address = f"http://127.0.0.1:{port}"
            await self._until_ready(process, address)
            yield address
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                await _in_thread(lambda: process.wait(STOP_SECONDS), process)

    async def _until_ready(self, process: subprocess.Popen[bytes], address: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        async with httpx.AsyncClient(trust_env=False, timeout=5.0) as client:
            while process.poll() is None and time.monotonic() < deadline:
                with suppress(httpx.HTTPError):
                    if (await client.get(f"{address}/readyz")).is_success:
                        return
                await asyncio.sleep(PAUSE_SECONDS)
        raise TrialFailed(f"The server did not become ready: {self._complaint()}")

    @contextmanager
    def _started(self, arguments: Sequence[str], settings: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
        """The command in a process of its own; killed if it has not ended."""
        is_server = list(arguments) == ["serve"]
        with self._said.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "app", *arguments],
                cwd=self.folder,
                env={**_machine_environment(), **self.settings, **settings},
                stdin=subprocess.PIPE,
                stdout=stderr if is_server else subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,  # ctrl-C is for us, who end it in order
            )
        with process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()

    @property
    def _said(self) -> Path:
        return self.folder / "said"

    def _complaint(self) -> str:
        lines = self._said.read_text(errors="replace").split("\n")
        return " ".join(" ".join(lines).split())[-LONGEST_COMPLAINT:] or "it said nothing"


@asynccontextmanager
async def trial_installation(parent: Path, run_id: UUID) -> AsyncIterator[Trial]:
    """An empty one meanwhile; nothing of it is left, and what others left that were killed goes first."""
    trial = await asyncio.to_thread(_make, parent, run_id)
    try:
        yield trial
    finally:
        await _to_its_end(asyncio.ensure_future(asyncio.to_thread(remove, trial.folder)))


def _make(parent: Path, run_id: UUID) -> Trial:
    remove_abandoned(parent)
    trial = Trial(parent.resolve() / f"{PREFIX}{run_id.hex[-12:]}")
    try:
        for folder in (trial.folder, trial.data_dir, trial.backup_dir):
            folder.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise BackupUnavailable(f"The folder {trial.folder} of the drill can't be made: {error.strerror}.") from error
    return trial


def remove_abandoned(parent: Path) -> None:
    """Remove all trial installations there: of several drills of an installation only one is under way. Blocks."""
    for folder in parent.resolve().glob(f"{PREFIX}*"):
        if _FOLDER_NAME.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
            remove(folder)


def remove(folder: Path) -> None:
    """End everything that runs in a trial installation, and remove its folder. Blocks."""
    _end(_commands_in(folder))
    with suppress(EmbeddedPostgresError, OSError):
        stop_abandoned(folder / "data")
    _end(_processes_in(folder))
    shutil.rmtree(folder, ignore_errors=True)


def _commands_in(folder: Path) -> list[psutil.Process]:
    """Our own commands first: they would start PostgreSQL anew."""
    return [one for one in _processes_in(folder) if not _is_postgres(one)]


def _processes_in(folder: Path) -> list[psutil.Process]:
    return [one for one in psutil.process_iter() if one.pid != os.getpid() and _is_in(one, folder)]


def _is_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return Path(process.cwd()).is_relative_to(folder)
    except (psutil.Error, OSError):
        return False


def _is_postgres(process: psutil.Process) -> bool:
    try:
        return process.name() == "postgres"
    except psutil.Error:
        return False


def _end(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, KILL_SECONDS)


async def _in_thread(work: Callable[[], Result], process: subprocess.Popen[bytes]) -> Result:
    """What waiting for the process gives; when we are told to stop it is killed, and its end awaited."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        process.kill()
        await _to_its_end(task)
        raise


async def _to_its_end(task: asyncio.Future[Result]) -> None:
    """Wait for it, however often we are told to stop; only then do so."""
    told: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            told = error
    if told is not None:
        raise told


def _machine_environment() -> dict[str, str]:
    """What a command is given by the machine: where programs and we ourselves are; no setting, and no secret."""
    given = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {**given, "PYTHONPATH": str(Path(app.__file__).resolve().parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
