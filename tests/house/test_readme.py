"""The README tells the truth: its shell blocks run, in order, against a live server, and show what it shows."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ENCRYPTION_KEY
from tests.live import REPOSITORY, LiveServer, free_port

README = (REPOSITORY / "README.md").read_text()
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
BETWEEN_BLOCKS = "-- the next block --"
PASSWORD = "correct-horse-battery-staple"
SESSION_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Step:
    """A block that is run, and what it shows; `...` stands for anything within a line."""

    script: str
    shown: str | None

    def shows(self, output: str) -> bool:
        """Whether the output is what the README shows, or nothing where it shows nothing."""
        pattern = re.escape((self.shown or "").strip()).replace(re.escape("..."), ".*")
        return re.fullmatch(pattern, output.strip()) is not None


def blocks(language: str) -> list[str]:
    """The texts of the README's blocks in this language."""
    return [block["text"] for block in BLOCK.finditer(README) if block["language"] == language]


def steps() -> list[Step]:
    """The blocks that are run, each with the output block that follows it, if any."""
    found = [(block["language"], block["text"]) for block in BLOCK.finditer(README)]
    pairs = zip(found, [*found[1:], ("", "")], strict=True)
    return [
        Step(text, next_text if next_language in {"json", "text"} else None)
        for (language, text), (next_language, next_text) in pairs
        if language == "bash"
    ]


@pytest.fixture
def server(fresh_database: str, tmp_path: Path) -> Iterator[LiveServer]:
    """A live server whose first operator has a password that we know."""
    environment = {
        "DATABASE_URL": fresh_database,
        "ENCRYPTION_KEY": ENCRYPTION_KEY,
        "ADMIN_PASSWORD": PASSWORD,
        "DRAIN_SECONDS": "0",
    }
    with LiveServer(tmp_path, environment, free_port()) as running:
        yield running


@pytest.mark.acceptance
@pytest.mark.skipif(shutil.which("curl") is None, reason="the README asks for curl, and there is none")
def test_the_shell_blocks_run_one_after_another_and_show_what_the_readme_says(server: LiveServer) -> None:
    script = f"\necho '{BETWEEN_BLOCKS}'\n".join(step.script for step in steps())

    run = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script],
        cwd=server.folder,
        env=environment_of_a_reader(server),
        capture_output=True,
        text=True,
        timeout=SESSION_SECONDS,
    )

    assert (run.returncode, run.stderr) == (0, ""), run.stdout
    outputs = run.stdout.split(f"{BETWEEN_BLOCKS}\n")
    for step, output in zip(steps(), outputs, strict=True):
        assert step.shows(output), f"{step.script}\nshowed\n{output}\ninstead of\n{step.shown}"


def environment_of_a_reader(server: LiveServer) -> dict[str, str]:
    """What somebody who follows the README has set, and `license-server` of this environment on the path."""
    given = server.full_environment()
    return {
        **given,
        "PATH": f"{Path(sys.executable).parent}:{given['PATH']}",
        "LICENSE_SERVER": server.url,
        "LICENSE_SERVER_LOG": str(server.stdout_path),
    }


def test_what_a_block_shows_is_compared_line_by_line() -> None:
    step = Step("", "id ...\nend")

    assert step.shows("id 7\nend\n")
    assert not step.shows("id 7\n8\nend")
    assert not Step("", None).shows("something")


def test_the_blocks_that_cannot_run_here_name_only_make_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))

    named = set(re.findall(r"\bmake ([a-z]+)", "\n".join(blocks("console"))))

    assert named == {"run", "test"}
    assert named <= targets


def test_the_blocks_that_cannot_run_here_name_only_files_that_exist() -> None:
    made_by_them = {"secrets/admin_password"}

    named = set(re.findall(r"(?<![\w@/.])[\w-]+(?:/[\w.-]+)+", "\n".join(blocks("console"))))

    assert "deploy/compose/init-secrets" in named
    assert [path for path in named - made_by_them if not (REPOSITORY / path).exists()] == []


def test_every_block_is_run_shown_or_marked_as_not_run() -> None:
    languages = {block["language"] for block in BLOCK.finditer(README)}

    assert languages == {"bash", "console", "json", "text"}
    assert len(list(BLOCK.finditer(README))) * 2 == README.count("```")
