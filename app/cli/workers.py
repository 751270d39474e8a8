"""Several server processes on one port: uvicorn's supervisor, mended where a stop would lose requests or time."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from uvicorn.supervisors import Multiprocess

from app.telemetry import security_log
from app.telemetry.security_log import SecurityEvent

PAUSE_SECONDS = 0.05


class Workers(Multiprocess):
    """Starts the processes, replaces those that die, and ends with them.

    ctrl-C is for the supervisor alone: a terminal sends it to every process, and a worker that heard of one stop twice
    would take the second for haste and cut its answers.
    """

    _stop_signal = signal.SIGTERM

    def init_processes(self) -> None:
        """Start the processes."""
        with _interrupts_kept_back():
            super().init_processes()

    def keep_subprocess_alive(self) -> None:
        """Replace those that died, and tell of it."""
        before = list(self.processes)
        with _interrupts_kept_back():
            super().keep_subprocess_alive()
        for worker in before:
            if worker not in self.processes:  # also one that died while another was looked at
                security_log.record(SecurityEvent.SYS_CRASH, "A server process died", pid=worker.process.pid)

    def handle_int(self) -> None:
        """Stop without a drain."""
        self._stop_signal = signal.SIGUSR1
        super().handle_int()

    def terminate_all(self) -> None:
        """Ask all processes to stop; from now on the port is theirs alone, so that it closes with the last of them."""
        for listener in self.sockets:
            listener.close()
        self._tell_living(self._stop_signal)

    def join_all(self) -> None:
        """Wait for their end, which their drain and grace bound, and pass on signals that ask for haste."""
        self.signal_queue.clear()
        while any(worker.process.is_alive() for worker in self.processes):
            while self.signal_queue:
                if self.signal_queue.pop(0) in (signal.SIGINT, signal.SIGTERM):
                    self._tell_living(signal.SIGTERM)
            time.sleep(PAUSE_SECONDS)

    def _tell_living(self, number: signal.Signals) -> None:
        for worker in self.processes:
            if worker.process.pid is not None and worker.process.is_alive():
                os.kill(worker.process.pid, number)


@contextmanager
def _interrupts_kept_back() -> Iterator[None]:
    """Processes that are started meanwhile never see ctrl-C; ours is delivered afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
