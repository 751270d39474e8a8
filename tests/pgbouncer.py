"""A real PgBouncer in transaction mode, where it is installed (Debian's package `pgbouncer`)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from app.db.programs import Account, choose_account
from tests.live import free_port, wait_until

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
needs_pgbouncer = pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed")


@contextmanager
def pgbouncer(
    url: str,
    *,
    pool_mode: str = "transaction",
    ignores_options: bool = False,
    pool_size: int = 2,
    login_retry_seconds: int = 15,
) -> Iterator[str]:
    """The same database through a PgBouncer with few connections, which trusts whoever comes as the URL's user.

    It refuses to run as root, so it has the account of the embedded PostgreSQL, which may use that one's socket.
    """
    assert PROGRAM is not None, "tests that need it are skipped where it is not installed"
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    host, port = query.get("host", [parts.hostname or ""])[0], query.get("port", [str(parts.port)])[0]
    listening = free_port()
    with tempfile.TemporaryDirectory(prefix="lsb-") as name:
        folder = Path(name)
        configuration = folder / "pgbouncer.ini"
        configuration.write_text(
            f"[databases]\n* = host={host} port={port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {listening}\nunix_socket_dir =\nauth_type = trust\nauth_file = {folder / 'users'}\n"
            f"pool_mode = {pool_mode}\ndefault_pool_size = {pool_size}\nmax_client_conn = 200\n"
            f"server_login_retry = {login_retry_seconds}\n"
            + ("ignore_startup_parameters = options\n" if ignores_options else "")
        )
        (folder / "users").write_text(f'"{parts.username}" ""\n')
        account = _let_read(folder, configuration, folder / "users")
        who: dict[str, Any] = {} if account.is_ourselves else {"user": account.uid, "group": account.gid}
        words = [PROGRAM, str(configuration)]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **who)
        try:
            wait_until(lambda: _listens(listening), "PgBouncer listens")
            yield f"postgresql://{parts.username}@127.0.0.1:{listening}{parts.path}"
        finally:
            process.kill()
            process.wait(10)


def _let_read(*paths: Path) -> Account:
    """The account that PgBouncer has, which owns these from now on."""
    account = choose_account(paths[0] / "none")
    for path in paths:
        os.chown(path, account.uid, account.gid)
    return account


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
