"""The port: taken before anything else is started, so that one in use is told at once."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from app.cli.output import fail

BACKLOG = 2048
RETRY_SECONDS = 2.0
PAUSE_SECONDS = 0.1

_ALL_ADDRESSES = frozenset({"0.0.0.0", "::"})  # noqa: S104
_LOOPBACK = "127.0.0.1"


@contextmanager
def bound_sockets(host: str, port: int) -> Iterator[list[socket.socket]]:
    """Sockets on every address of the host, listening; ends the command when they can't be had."""
    with ExitStack() as stack:
        yield [stack.enter_context(bound) for bound in _bind_patiently(host, port)]


def server_address(host: str, port: int) -> str:
    """The URL under which somebody at this machine reaches the server."""
    name = "localhost" if host in _ALL_ADDRESSES or host == _LOOPBACK else host
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def _bind_patiently(host: str, port: int) -> list[socket.socket]:
    """Bind, and try again for two seconds: the workers of a server that was just killed still let go of the port."""
    deadline = time.monotonic() + RETRY_SECONDS
    while True:
        try:
            return _bind(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                fail(_sentence(host, port, error))
        time.sleep(PAUSE_SECONDS)


def _bind(host: str, port: int) -> list[socket.socket]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    with ExitStack() as stack:
        sockets: list[socket.socket] = []
        for family, kind, protocol, _, address in dict.fromkeys(found):
            bound = stack.enter_context(socket.socket(family, kind, protocol))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            # Where any free port will do, the first address chooses for all.
            bound.bind((address[0], port or _port_of(sockets), *address[2:]))
            bound.listen(BACKLOG)  # two sockets may be bound to one port on Linux, but only one may listen
            sockets.append(bound)
        stack.pop_all()
        return sockets


def _port_of(sockets: list[socket.socket]) -> int:
    return int(sockets[0].getsockname()[1]) if sockets else 0


def _sentence(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use: stop what listens there, or set PORT to another one."
    if error.errno == errno.EACCES:
        return f"Port {port} on {host} is not for this user: set PORT to one above 1023."
    return f"The server cannot listen on HOST {host}, port {port} ({error.strerror}): set HOST to one of this machine."
