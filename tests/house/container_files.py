"""Reading the container files for the tests: Dockerfile, .dockerignore, docker-compose.yml."""

from __future__ import annotations

import fnmatch
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from typer.main import get_command

from app.cli.main import app as cli
from app.settings import SECRET_NAMES, SETTING_NAMES

ROOT = Path(__file__).resolve().parents[2]


class Instruction(NamedTuple):
    """One line of a Dockerfile, its continuations joined."""

    word: str
    rest: str


def sub_commands() -> set[str]:
    """The sub-commands of `license-server`."""
    return set(get_command(cli).commands)  # type: ignore[attr-defined] # the root command is a group


def setting_names() -> set[str]:
    """The names under which the server reads its settings, `*_FILE` of the secrets included."""
    return {*SETTING_NAMES, *(f"{name}_FILE" for name in SECRET_NAMES)}


@cache
def instructions() -> list[Instruction]:
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    logical = re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()
    return [Instruction(*line.split(None, 1)) for line in logical if line]


def stages() -> list[list[Instruction]]:
    starts = [place for place, instruction in enumerate(instructions()) if instruction.word == "FROM"]
    return [instructions()[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]


def final_stage() -> list[Instruction]:
    return stages()[-1]


def only(word: str) -> str:
    """What the last stage says once with this word."""
    [rest] = [instruction.rest for instruction in final_stage() if instruction.word == word]
    return rest


def copied_from_context() -> list[str]:
    copies = [rest.split() for word, rest in instructions() if word == "COPY" and not rest.startswith("--from=")]
    return [source for copy in copies for source in copy[:-1]]


def ignore_patterns() -> list[str]:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def is_in_context(path: str) -> bool:
    """Whether .dockerignore lets the path through: the last pattern that fits it or its folder decides."""
    parts = Path(path).parts
    ancestry = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
    is_in = True
    for pattern in ignore_patterns():
        bare = pattern.removeprefix("!").removeprefix("**/")
        candidates = parts if "**/" in pattern else ancestry
        if any(fnmatch.fnmatch(candidate, bare) for candidate in candidates):
            is_in = pattern.startswith("!")
    return is_in


def tracked(path: str) -> list[str]:
    """The files below a path that belong to the repository, also those not committed yet."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", path]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in listed if (ROOT / name).exists()]


@cache
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found
