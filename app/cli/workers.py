"""Several server processes on one port: uvicorn's supervisor, mended where a stop would lose requests or time."""

from __future__ import annotations

import os
import signal
import time

from uvicorn.supervisors import Multiprocess

PAUSE_SECONDS = 0.05


class Workers(Multiprocess):
    """Starts the processes, replaces those that die, and ends with them."""

    def terminate_all(self) -> None:
        """Ask all processes to stop; from now on the port is theirs alone, so that it closes with the last of them."""
        for listener in self.sockets:
            listener.close()
        super().terminate_all()

    def join_all(self) -> None:
        """Wait for their end, which their drain and grace bound, and pass on signals that ask for haste."""
        self.signal_queue.clear()
        while alive := [worker for worker in self.processes if worker.process.is_alive()]:
            while self.signal_queue:
                number = self.signal_queue.pop(0)
                if number in (signal.SIGINT, signal.SIGTERM):
                    for worker in alive:
                        os.kill(worker.process.pid or 0, signal.SIGTERM)
            time.sleep(PAUSE_SECONDS)
