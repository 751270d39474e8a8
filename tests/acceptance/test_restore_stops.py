"""A command that restores is stopped: it tells which database is live."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.conftest import database_settings
from tests.acceptance.test_restores import back_up, live
from tests.conftest import make_settings
from tests.live import LiveServer, free_port, wait_until

__all__ = ["live"]

pytestmark = pytest.mark.acceptance


def test_a_command_that_is_stopped_before_the_swap_says_that_nothing_has_changed(
    fresh_database: str, live: str, tmp_path: Path
) -> None:
    environment = database_settings(fresh_database, BACKUP_DIR=str(tmp_path / "backups"))
    back_up(make_settings(fresh_database, tmp_path, backup_dir=tmp_path / "backups"))
    server = LiveServer(tmp_path, environment, free_port())
    command = subprocess.Popen(
        [sys.executable, "-m", "app", "restore", "--force", "--confirm", live],
        cwd=tmp_path,
        env=server.full_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: is_there(fresh_database, f"{live}_restore_"), "it restores")

    command.send_signal(signal.SIGTERM)
    _, said = command.communicate(timeout=30)

    assert command.returncode == 128 + signal.SIGTERM
    assert "Stopped; the live database is as it was." in said
    assert not is_there(fresh_database, f"{live}_")


def is_there(url: str, prefix: str) -> bool:
    """Whether the cluster has a database whose name begins so."""
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT count(*) FROM pg_database WHERE starts_with(datname, %s)", [prefix])
        return found.fetchone() != (0,)
