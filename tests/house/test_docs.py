"""The documents hold together: links lead somewhere, named files exist, decision records are numbered without gaps."""

from __future__ import annotations

import re
import shlex
import subprocess
from functools import cache
from pathlib import Path

import pytest
from click import Command
from fastapi.routing import iter_route_contexts
from typer.main import get_command

from app.cli.main import app as cli
from app.web.app import create_app
from tests.conftest import make_settings
from tests.house.container_files import ROOT, sub_commands

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
DECISIONS = sorted(path.name for path in (ROOT / "docs/decisions").glob("*.md"))
SECTIONS_OF_A_DECISION = ["Context", "Decision", "Consequences"]

FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]\n]+\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
CODE = re.compile(r"`([^`\n]+)`")

# Files that an installation has and the repository has not.
MADE_LATER = {"docker-compose.override.yml", "encryption.key", "secrets/admin_password", "secrets/database_url"}
MADE_LATER |= {"secrets/encryption_key", "postgres/log", "data/", "license-server.log"}

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


@cache
def prose(document: Path) -> str:
    """The text without its blocks of code."""
    return FENCE.sub("", document.read_text())


@cache
def anchors(document: Path) -> frozenset[str]:
    """What the headings of a document are called in links."""
    headings = HEADING.findall(prose(document))
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)


@cache
def top_of_the_repository() -> frozenset[str]:
    """The names of the files and folders that a path in a document can begin with."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return frozenset(path.split("/")[0] for path in listed.stdout.splitlines())


def named_paths(document: Path) -> set[str]:
    """The code in a sentence that is a path of this repository, or looks like a file."""
    codes = {code for code in CODE.findall(prose(document)) if re.fullmatch(r"[\w./\-]+", code)}
    files = {code for code in codes if re.search(r"\.(py|md|toml|yml|sql|lock|mako|key|log)$", code)}
    return files | {code for code in codes if code.split("/")[0] in top_of_the_repository()}


@every_document
def test_links_lead_to_files_and_headings_that_exist(document: Path) -> None:
    for link in LINK.findall(prose(document)):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("document", sorted(ROOT.glob("docs/*.md")), ids=lambda path: path.name)
def test_a_document_has_no_two_sections_of_the_same_name(document: Path) -> None:
    names = re.findall(r"^## (.+)$", prose(document), re.MULTILINE)

    assert [name for name in names if names.count(name) > 1] == []


@every_document
def test_every_file_that_is_named_exists(document: Path) -> None:
    missing = {path for path in named_paths(document) - MADE_LATER if not (ROOT / path).exists()}

    assert missing == set()


@every_document
def test_every_make_target_that_is_named_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    code = [*CODE.findall(prose(document)), *FENCE.findall(document.read_text())]

    named = set(re.findall(r"^make (?:[A-Z]+=\S+ )?([a-z]+)\b", "\n".join(code), re.MULTILINE))

    assert named - targets == set()


def test_decision_records_are_numbered_without_gaps() -> None:
    numbers = [name.split("-")[0] for name in DECISIONS]

    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
    assert len(numbers) >= 8


@pytest.mark.parametrize("name", DECISIONS)
def test_a_decision_record_says_what_was_decided_and_why_on_one_page(name: str) -> None:
    text = (ROOT / "docs/decisions" / name).read_text()

    headings = HEADING.findall(text)
    assert headings[0].startswith(f"{int(name[:4])}. ")
    assert headings[1:4] == SECTIONS_OF_A_DECISION
    assert headings[4:] in (["What was seen"], ["What was measured"])
    assert len(text.splitlines()) <= 60


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached = {ROOT / "README.md"}
    waiting = list(reached)
    while waiting:
        document = waiting.pop()
        targets = {(document.parent / link.split("#")[0]).resolve() for link in LINK.findall(prose(document))}
        new = {target for target in targets if target.suffix == ".md" and target.is_file()} - reached
        reached |= new
        waiting += new

    records = {ROOT / "docs/decisions" / name for name in DECISIONS}
    assert set(DOCUMENTS) - reached - records == set()


def test_every_command_is_documented() -> None:
    text = (ROOT / "docs/cli.md").read_text()

    assert {name for name in sub_commands() if f"license-server {name}" not in text} == set()


def test_the_documented_commands_exist_with_their_options() -> None:
    shell = "\n".join(FENCE.findall((ROOT / "docs/cli.md").read_text())).replace("\\\n", " ")
    lines = [shlex.split(line)[1:] for line in shell.splitlines() if line.startswith("license-server ")]

    for words in lines:
        command = find_command(words)
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, words
    assert len(lines) > 20


def find_command(words: list[str]) -> Command:
    """The command that a line calls."""
    group = get_command(cli)
    found: Command = group.commands[words[0]]  # type: ignore[attr-defined] # the root command is a group
    commands: dict[str, Command] = getattr(found, "commands", {})
    is_itself = getattr(found, "invoke_without_command", False) and (len(words) == 1 or words[1].startswith("--"))
    return commands[words[1]] if commands and not is_itself else found


def test_the_documented_routes_are_those_of_the_application(tmp_path: Path) -> None:
    settings = make_settings("postgresql://nobody@localhost/nothing", tmp_path)
    contexts = list(iter_route_contexts(create_app(settings).routes))
    routes = {f"{method} {context.path}" for context in contexts for method in context.methods or ()}

    documented = set(re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /[^`? ]*)`", (ROOT / "docs/api.md").read_text()))

    expected = {without_names(route) for route in routes if not route.startswith("HEAD ")}
    assert {without_names(route) for route in documented} == expected


def without_names(route: str) -> str:
    """The route, whatever its parameters are called."""
    return re.sub(r"{\w+}", "{}", route)
