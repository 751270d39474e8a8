"""An answer about the database: what was seen, or why nobody could look and what would change that."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from app.domain.findings import Finding, Level

QUESTION_SECONDS = 3.0
"""A statement of a question takes no longer."""
MAX_ITEMS = 500
DEFAULT_ITEMS = 50
PUBLIC = "public"

Item = TypeVar("Item")


class Status(StrEnum):
    """Whether there is an answer."""

    AVAILABLE = "available"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Answer(Generic[Item]):
    """What was seen; a `reason` tells what is missing, in part or altogether, and `remedy` is what gives it.

    `since` is when the statistics began that the answer rests on.
    """

    status: Status = Status.AVAILABLE
    items: tuple[Item, ...] = ()
    reason: str | None = None
    remedy: str | None = None
    since: datetime | None = None


class Unanswered(Exception):
    """Nobody can look: the reason is a sentence, the remedy a command or SQL that changes it."""

    def __init__(self, reason: str, remedy: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


def unavailable(check: str, answer: Answer[Item]) -> list[Finding]:
    """The finding that there is no answer, or not all of one; nothing when there is."""
    if answer.status is Status.AVAILABLE and answer.reason is None:
        return []
    return [Finding(check, Level.UNAVAILABLE, answer.reason or "Nobody can look.", answer.remedy)]


def name_of(schema_name: str, object_name: str) -> str:
    """What a table or index is called: its name, with its schema in front unless that is `public`."""
    return object_name if schema_name == PUBLIC else f"{schema_name}.{object_name}"


def quoted(schema_name: str, object_name: str) -> str:
    """The name as SQL takes it, whatever is in it."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in (schema_name, object_name))


def maintenance(kind: str, option: str, schema_name: str, object_name: str) -> str:
    """The command that maintains one table or index."""
    return f"license-server maintenance {kind} --{option} {shlex.quote(name_of(schema_name, object_name))}"
