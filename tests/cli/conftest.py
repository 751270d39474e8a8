"""What tests of commands are given: a function that runs one in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ENCRYPTION_KEY
from tests.live import LiveServer, free_port


@dataclass(frozen=True, slots=True)
class CommandLine:
    """The command line on a migrated database; with a running server or without."""

    server: LiveServer

    def json(self, *arguments: str, status: int = 0) -> Any:
        """What the command prints with --json: a document and nothing else."""
        ran = self.server.command(*arguments, "--json")
        assert ran.returncode == status, ran.stderr
        assert ran.stderr == ""
        return json.loads(ran.stdout)

    def text(self, *arguments: str) -> str:
        """What the command prints for people."""
        ran = self.server.command(*arguments)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def refusal(self, *arguments: str) -> str:
        """The one sentence of a command that fails."""
        ran = self.server.command(*arguments)
        assert (ran.returncode, ran.stdout) == (1, "")
        [sentence] = ran.stderr.splitlines()
        return sentence

    def usage(self, *arguments: str) -> str:
        """What is said about an argument that is wrong, on one line."""
        ran = self.server.command(*arguments)
        assert (ran.returncode, ran.stdout) == (2, ""), ran.stderr
        assert ran.stderr.startswith("Usage: ")
        return " ".join(ran.stderr.replace("│", " ").split())


@pytest.fixture
def cli(fresh_database: str, tmp_path: Path) -> Iterator[CommandLine]:
    """The command line on a database of the test's own; no server runs."""
    environment = {"DATABASE_URL": fresh_database, "ENCRYPTION_KEY": ENCRYPTION_KEY, "DRAIN_SECONDS": "0"}
    server = LiveServer(tmp_path, environment, free_port())
    yield CommandLine(server)
    server.__exit__(None, None, None)
