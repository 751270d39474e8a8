"""Runs on the command line: left to a server, watched, cancelled."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import IO

from app.cli.progress import describe, line_of
from app.domain.runs import Progress
from tests.cli.conftest import CommandLine
from tests.live import wait_until
from tests.web.admin.test_newer_release import make_strange


def test_a_run_left_to_a_server_is_followed_until_it_ends(cli: CommandLine) -> None:
    queued = cli.json("maintenance", "analyze", "--no-wait")
    assert (queued["status"], queued["trigger"], queued["requestedBy"]["kind"]) == ("queued", "command", "command_line")
    assert cli.refusal("maintenance", "analyze").endswith("(RUN_UNDER_WAY)")

    lines = cli.server.folder / "lines"
    with lines.open("wb") as out, follow(cli, queued["id"], "--json", out=out) as following:
        wait_until(lambda: lines.read_text().count("\n") == 1, "the present is told")
        assert cli.json("runs", "cancel", queued["id"])["status"] == "cancelled"
        _, said = following.communicate(timeout=30)

    told = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [(one["id"], one["status"]) for one in told] == [(queued["id"], "queued"), (queued["id"], "cancelled")]
    assert (following.returncode, said.decode()) == (1, "The run ended as cancelled.\n")


def test_a_run_that_is_followed_is_told_in_lines_and_its_end_in_full(cli: CommandLine) -> None:
    done = cli.json("maintenance", "analyze")

    text = cli.text("runs", "follow", done["id"])

    assert "succeeded" in text
    assert cli.refusal("runs", "follow", "00000000-0000-7000-8000-000000000000").endswith("(RUN_NOT_FOUND)")


def test_a_run_of_a_newer_release_is_shown_as_it_is(cli: CommandLine, fresh_database: str) -> None:
    run = cli.json("maintenance", "analyze", "--no-wait")
    make_strange(fresh_database, "kind = 'defrag', status = 'suspended', result = '{}'")

    assert "defrag" in cli.text("runs", "show", run["id"])
    assert cli.json("runs", "show", run["id"])["result"] == {}
    assert ["result" in one for one in cli.json("runs", "list")["items"]] == [False]
    followed = cli.server.command("runs", "follow", run["id"], "--json")
    assert (followed.returncode, followed.stderr) == (1, "The run ended as suspended.\n")


def follow(cli: CommandLine, run_id: str, *options: str, out: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "app", "runs", "follow", run_id, *options],
        cwd=cli.server.folder,
        env=cli.server.full_environment(),
        stdout=out,
        stderr=subprocess.PIPE,
    )


def test_progress_is_told_in_words() -> None:
    assert line_of(Progress(40.0, "vacuuming", "public.licenses", 80.4, 2, 5)) == (
        " 40.0 %  vacuuming public.licenses 80 % (2 of 5)"
    )
    assert line_of(Progress()) == "  0.0 %  starting"


def test_names_of_tables_never_steer_the_terminal() -> None:
    assert "\x1b" not in describe(Progress(1.0, "vacuuming", "public.\x1b[2Jevil"))
