"""Drain: when asked to stop, first tell the load balancer, and only then close the doors."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import multiprocessing
import os
import select
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
LOOK_SECONDS = 0.05
PATIENCE_SECONDS = 3.0
"""How much longer than DRAIN_SECONDS a drain may take on a machine too busy to accept and read what has come."""

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
        self._deadline = 0.0

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
            self._deadline = self._loop.time() + seconds + PATIENCE_SECONDS
            self._loop.call_later(max(0.0, seconds - LAST_CALL_SECONDS), self._turn_away)

    def stop(self) -> None:
        """Let the server finish what it is answering, and end; answers that could go on for long see it and end too."""
        self._runtime.is_draining = True
        if not self._server.should_exit:
            self._server.handle_exit(signal.SIGTERM, None)

    def _turn_away(self) -> None:
        """Let nobody knock any more: closing the port resets connections that wait behind it, so none may wait."""
        if sys.platform == "linux":
            for listener in self._listeners():
                with suppress(OSError), socket.socket(fileno=os.dup(listener)) as shared:
                    shared.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, _DROP_EVERYTHING)
        self._loop.call_later(ACCEPT_SECONDS, self._close_port)

    def _close_port(self) -> None:
        """Take no more connections, once nobody waits behind the port; those just taken may still ask."""
        if self._may_wait() and self._somebody_knocks():
            self._loop.call_later(LOOK_SECONDS, self._close_port)
            return
        for server in self._server.servers:
            server.close()
        self._loop.call_later(LAST_CALL_SECONDS - ACCEPT_SECONDS, self._stop_when_all_have_asked)

    def _stop_when_all_have_asked(self) -> None:
        """End, once everybody who was let in has said something: closing on them resets what is on its way."""
        connections = self._server.server_state.connections
        if self._may_wait() and any(getattr(one, "cycle", one) is None for one in connections):
            self._loop.call_later(LOOK_SECONDS, self._stop_when_all_have_asked)
            return
        self.stop()

    def _may_wait(self) -> bool:
        return self._loop.time() < self._deadline and not self._server.should_exit

    def _somebody_knocks(self) -> bool:
        poll = select.poll()
        for listener in self._listeners():
            poll.register(listener, select.POLLIN)
        return bool(poll.poll(0))

    def _listeners(self) -> list[int]:
        return [found.fileno() for listener in self._server.servers for found in listener.sockets]


def _on_end_of_parent(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    """Stop a worker whose supervisor was killed: nobody else would ever end it, and it holds the port."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def end() -> None:
        loop.remove_reader(parent.sentinel)
        stop()

    loop.add_reader(parent.sentinel, end)
