"""What clients, monitors and operators rely on is in the documentation, each name of it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from prometheus_client.metrics import MetricWrapperBase

import app
from app.cli.main import app as command_line
from app.domain.errors import DomainError
from app.domain.events import EventName
from app.domain.licenses import REASONS, ValidationCode
from app.domain.permissions import Permission
from app.telemetry import metrics
from app.telemetry.security_log import SecurityEvent

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = ("api.md", "operations.md", "cli.md")


def read_pages(folder: Path) -> str:
    return "\n".join((folder / page).read_text() for page in PAGES if (folder / page).exists())


def missing(names: set[str], text: str) -> list[str]:
    """The names that do not stand in the text as whole words."""
    return sorted(name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text))


def error_codes() -> set[str]:
    for module in pkgutil.walk_packages(app.__path__, "app."):
        if module.name not in ("app.__main__", "app.main"):
            importlib.import_module(module.name)
    return {error.code for error in _below(DomainError)}


def _below(error: type[DomainError]) -> Iterator[type[DomainError]]:
    for child in error.__subclasses__():
        yield child
        yield from _below(child)


def metric_names() -> set[str]:
    """The names as a monitor reads them: counters end in `_total`."""
    declared = [metric for _, metric in inspect.getmembers(metrics) if isinstance(metric, MetricWrapperBase)]
    return {f"{metric._name}_total" if metric._type == "counter" else metric._name for metric in declared}


def command_names() -> set[str]:
    """Every command with its group: `license-server licenses issue`."""
    return {f"license-server {words}" for words in _commands(command_line)}


def _commands(group: typer.Typer) -> Iterator[str]:
    for command in group.registered_commands:
        assert command.name is not None, "commands are registered by name"
        yield command.name
    for child in group.registered_groups:
        assert child.typer_instance is not None, "a group is made of an application"
        yield from (f"{child.name} {words}" for words in _commands(child.typer_instance))


NAMES = {
    "error codes": error_codes(),
    "validation codes": {code.value for code in ValidationCode},
    "reasons": {reason for reason in REASONS.values() if reason},
    "metrics": metric_names(),
    "commands": command_names(),
    "audit events": {event.value for event in EventName},
    "permissions": {permission.value for permission in Permission},
    "security events": {event.value for event in SecurityEvent},
}


@pytest.mark.parametrize("kind", NAMES)
def test_every_name_is_documented(kind: str) -> None:
    assert missing(NAMES[kind], read_pages(DOCS)) == []


def test_there_are_names_of_every_kind() -> None:
    assert {kind: len(names) > 5 for kind, names in NAMES.items()} == dict.fromkeys(NAMES, True)
    assert "license-server licenses issue" in NAMES["commands"]
    assert "license_server_validations_total" in NAMES["metrics"]
    assert "LICENSE_NOT_FOUND" in NAMES["error codes"]


def test_every_missing_name_is_listed_and_only_whole_words_count(tmp_path: Path) -> None:
    (tmp_path / "api.md").write_text("`LICENSE_NOT_FOUND` and license-server licenses issue-many")

    text = read_pages(tmp_path)

    names = {"NOT_FOUND", "LICENSE_NOT_FOUND", "EXPIRED", "license-server licenses issue"}
    assert missing(names, text) == ["EXPIRED", "NOT_FOUND", "license-server licenses issue"]
