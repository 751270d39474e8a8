"""Invalid objects: indexes that nobody can read but everybody must write, and constraints that were never checked."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.diagnostics.answers import Answer, name_of, unavailable
from app.domain.findings import Finding, Level


@dataclass(frozen=True, slots=True)
class InvalidObject:
    """An invalid index, or a constraint that is NOT VALID; one that is being built is not invalid yet.

    `kind` is `index`, `constraint` or `leftover`: what a rebuild of an index left behind when it failed.
    """

    kind: str
    schema_name: str
    name: str
    table_name: str
    definition: str
    bytes: int | None
    action: str


def judge(answer: Answer[InvalidObject]) -> list[Finding]:
    """Whether anything is invalid."""
    if not answer.items:
        good = Finding("invalid_objects", Level.GOOD, "All indexes and constraints are valid.")
        return unavailable("invalid_objects", answer) or [good]
    return [
        Finding(
            "invalid_objects",
            Level.WARNING,
            f"The {one.kind} {name_of(one.schema_name, one.name)} on {one.table_name} is not valid.",
            one.action,
        )
        for one in answer.items
    ]
