"""Drain: when asked to stop, first tell the load balancer, and only then close the doors."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import multiprocessing
import os
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import uvicorn

from app.runtime import Runtime
from app.telemetry.logging import log

LAST_CALL_SECONDS = 0.6
ACCEPT_SECONDS = 0.3

SO_ATTACH_FILTER = 26
_DROP = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
_DROP_EVERYTHING = struct.pack("HP", 1, ctypes.addressof(_DROP))
"""A packet filter of one instruction (`ret 0`), see Linux's socket(7); who is dropped asks again after a second."""

logger = logging.getLogger(__name__)


def drain_on_sigterm(runtime: Runtime) -> None:
    """Let SIGTERM take effect only after DRAIN_SECONDS, in which readiness is 503 and connections are let go.

    Until then requests are answered as ever. A second SIGTERM, or ctrl-C, ends the drain; one more also cuts what is
    still being answered. SIGUSR1 stops without a drain, which is how workers are told of a ctrl-C. Does nothing where
    no server has put its handler in place (tests that call the application directly). A worker that was asked while it
    started drains as well: it shares its port with those that serve, and would drop what it accepts on the way.
    """
    handler = signal.getsignal(signal.SIGTERM)
    server = getattr(handler, "__self__", None)
    if not isinstance(server, uvicorn.Server) or threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    drain = Drain(runtime, server, loop)

    def on_sigterm(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(drain.next_step)

    def on_sigusr1(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(drain.stop)

    def on_sigint(number: int, frame: FrameType | None) -> None:
        runtime.is_draining = True
        server.handle_exit(number, frame)

    signal.signal(signal.SIGTERM, on_sigterm)
    signal.signal(signal.SIGUSR1, on_sigusr1)
    signal.signal(signal.SIGINT, on_sigint)
    _on_end_of_parent(loop, drain.stop)
    if server.should_exit and multiprocessing.parent_process() is not None:
        server.should_exit = False
        drain.next_step()


class Drain:
    """The steps of a stop: turn traffic away, close the port, end."""

    def __init__(self, runtime: Runtime, server: uvicorn.Server, loop: asyncio.AbstractEventLoop) -> None:
        self._runtime = runtime
        self._server = server
        self._loop = loop

    def next_step(self) -> None:
        """Start to drain, or end the drain, or end at once."""
        if self._server.should_exit:
            self._server.handle_exit(signal.SIGINT, None)
        elif self._runtime.is_draining or self._runtime.settings.drain_seconds == 0:
            self.stop()
        else:
            seconds = self._runtime.settings.drain_seconds
            self._runtime.is_draining = True
            log(logger, logging.INFO, "Draining before the stop", event="drain", seconds=seconds)
            last_call = max(0.0, seconds - LAST_CALL_SECONDS)
            self._loop.call_later(last_call, self._turn_away)
            self._loop.call_later(last_call + ACCEPT_SECONDS, self._close_port)
            self._loop.call_later(seconds, self.stop)

    def stop(self) -> None:
        """Let the server finish what it is answering, and end; answers that could go on for long see it and end too."""
        self._runtime.is_draining = True
        if not self._server.should_exit:
            self._server.handle_exit(signal.SIGTERM, None)

    def _turn_away(self) -> None:
        """Let nobody knock any more: closing the port resets connections that wait behind it, so none may wait."""
        if sys.platform != "linux":
            return
        for listener in self._server.servers:
            for found in listener.sockets:
                with suppress(OSError), socket.socket(fileno=os.dup(found.fileno())) as shared:
                    shared.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, _DROP_EVERYTHING)

    def _close_port(self) -> None:
        """Take no more connections; those just taken have a moment to bring their request before they are closed."""
        for listener in self._server.servers:
            listener.close()


def _on_end_of_parent(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    """Stop a worker whose supervisor was killed: nobody else would ever end it, and it holds the port."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def end() -> None:
        loop.remove_reader(parent.sentinel)
        stop()

    loop.add_reader(parent.sentinel, end)
