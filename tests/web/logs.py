"""The log lines that a test caused, each of them checked to be what the contract says of every line."""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from app.telemetry.logging import configure_logging
from tests.telemetry.lines import JsonObject, read_line


class LogLines:
    """What was written since the test began."""

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    def text(self) -> str:
        """The lines as they stand on stdout."""
        return self._stream.getvalue()

    def read(self) -> list[JsonObject]:
        """Every line as JSON; `ip` must be the last member wherever it is there."""
        lines = [read_line(f"{line}\n") for line in self.text().split("\n")[:-1]]
        for line in lines:
            assert "ip" not in line or list(line)[-1] == "ip"
        return lines

    def access(self) -> list[JsonObject]:
        """The access lines: one for every request."""
        return [line for line in self.read() if "HTTP" in line["message"]]

    def forget(self) -> None:
        """Start anew."""
        self._stream.seek(0)
        self._stream.truncate()


@contextmanager
def captured_lines(level: str) -> Iterator[LogLines]:
    """Write the log to memory meanwhile, through the configuration that the server uses."""
    root = logging.getLogger()
    handlers, number = list(root.handlers), root.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    stream = io.StringIO()
    configure_logging(level, "json", stream)
    try:
        yield LogLines(stream)
    finally:
        logging.captureWarnings(False)
        sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
        root.handlers[:] = handlers
        root.setLevel(number)
