"""Commands, each in a process of its own that need not import everything anew: it is forked from one that has.

To import everything takes a second, which is most of what a command takes, and tests run hundreds of them.
"""

from __future__ import annotations

import array
import atexit
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
COMMAND_SECONDS = 60
_REQUEST_BYTES = 1 << 17


def run_command(
    arguments: tuple[str, ...], folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run `python -m app` with these arguments to its end; one that takes longer than 60 s is killed."""
    ours, theirs = socket.socketpair()
    with ours, theirs, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        request = json.dumps({"arguments": arguments, "folder": str(folder), "environment": environment}).encode()
        assert len(request) < _REQUEST_BYTES
        socket.send_fds(_mother(), [request], [out.fileno(), err.fileno(), theirs.fileno()])
        theirs.close()
        status = ours.recv(array.array("i").itemsize)
        assert status, "the process that commands are forked from has ended"
        out.seek(0)
        err.seek(0)
        said, complained = out.read().decode(), err.read().decode()
    return subprocess.CompletedProcess(arguments, array.array("i", status)[0], said, complained)


@cache
def _mother() -> socket.socket:
    """The way to the process that commands are forked from; it ends when this one does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    base = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL") if name in os.environ}
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.commands", str(theirs.fileno())],
            cwd=REPOSITORY,
            env={**base, "PYTHONPATH": str(REPOSITORY)},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours


def _fork_commands(requests: socket.socket) -> None:
    """Fork a process for each request; only the ones that shall do a command return, ready to do it."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        request, descriptors, _, _ = socket.recv_fds(requests, _REQUEST_BYTES, 3)
        if not request:
            os._exit(0)
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            out, err, reply = descriptors
            child = os.fork()
            if child == 0:
                requests.close()
                os.close(reply)
                _become(json.loads(request), out, err)
                return
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            os.write(reply, array.array("i", [status]).tobytes())
            os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)


def _become(wish: dict[str, object], out: int, err: int) -> None:
    """Be a process that was started with these words, there, in this environment, writing to these files."""
    signal.alarm(COMMAND_SECONDS)
    for given, taken in ((out, 1), (err, 2)):
        os.dup2(given, taken)
        os.close(given)
    os.chdir(str(wish["folder"]))
    assert isinstance(wish["environment"], dict)
    assert isinstance(wish["arguments"], list)
    os.environ.clear()
    os.environ.update(wish["environment"])
    sys.argv[1:] = wish["arguments"]


if __name__ == "__main__":
    import app.cli.main  # noqa: F401 - so that commands find it imported

    with socket.socket(fileno=int(sys.argv[1])) as asked:
        _fork_commands(asked)
    runpy.run_module("app", run_name="__main__", alter_sys=True)
