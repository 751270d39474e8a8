"""Drain: when asked to stop, first tell the load balancer, and only then close the doors."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from types import FrameType

from app.runtime import Runtime
from app.telemetry.logging import log

logger = logging.getLogger(__name__)


def drain_on_sigterm(runtime: Runtime) -> None:
    """Let SIGTERM take effect only after DRAIN_SECONDS, in which readiness is 503 and connections are let go.

    Until then requests are answered as ever. A second SIGTERM, or ctrl-C, does not wait. Does nothing where no server
    has put its handler in place (tests that call the application directly).
    """
    server_handler = signal.getsignal(signal.SIGTERM)
    if not callable(server_handler) or threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()

    def stop() -> None:
        server_handler(signal.SIGTERM, None)

    def drain() -> None:
        if runtime.is_draining or runtime.settings.drain_seconds == 0:
            stop()
            return
        runtime.is_draining = True
        log(logger, logging.INFO, "Draining before the stop", event="drain", seconds=runtime.settings.drain_seconds)
        loop.call_later(runtime.settings.drain_seconds, stop)

    def on_sigterm(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(drain)

    signal.signal(signal.SIGTERM, on_sigterm)
