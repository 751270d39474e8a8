"""`license-server drill` as a person meets it: at a real terminal, on an installation with `DATABASE_URL`."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from app.domain.drills import QUESTIONS
from tests.cli.conftest import CommandLine

PATIENCE_SECONDS = 60.0


def test_a_drill_takes_what_a_terminal_sends_and_hides_the_recovery_key(cli: CommandLine) -> None:
    recovery_key = cli.json("configuration", "backup")["recoveryKey"]
    cli.json("backup")
    answers = [(b"leads this drill?", b"Ada\n"), *[(b"?: ", b"an \xff\x1b[31m answer\n")] * len(QUESTIONS)]

    said = at_a_terminal(cli, [*answers, (b"be had", recovery_key.encode() + b"\n")], "drill", "--json")

    assert '"status": "succeeded' in said, said
    assert "opened with the recovery key" in said
    assert recovery_key not in said
    [report] = (cli.server.folder / "data" / "drills").glob("*.md")
    assert report.read_text().count("an \\udcff\\x1b[31m answer") == len(QUESTIONS)


def test_a_file_without_a_recovery_key_is_refused_before_the_drill(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "paper").write_text("The key is in the safe.\n")

    assert "WRONG_RECOVERY_KEY" in cli.refusal("drill", "--yes", "--recovery-key-file", str(tmp_path / "paper"))
    assert cli.json("runs", "list", "--kind", "drill")["items"] == []


def at_a_terminal(cli: CommandLine, talk: Sequence[tuple[bytes, bytes]], *arguments: str) -> str:
    """All that a command shows on a terminal; each question is answered when it has come, the last is a secret."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "app", *arguments],
        cwd=cli.server.folder,
        env=cli.server.full_environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    said, seen, left, deadline = b"", 0, list(talk), time.monotonic() + PATIENCE_SECONDS
    with process, suppress(OSError):  # the end of a terminal is an error
        while time.monotonic() < deadline:
            if select.select([ours], [], [], 0.2)[0]:
                said += os.read(ours, 4096)
            if left and left[0][0] in said[seen:] and _echoes(ours) is (len(left) > 1):
                seen = len(said)
                os.write(ours, left.pop(0)[1])
        process.kill()
    os.close(ours)
    return said.decode(errors="replace")


def _echoes(terminal: int) -> bool:
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)
