"""Foreign keys whose columns no index begins with: each deletion of what they refer to reads the whole table."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.diagnostics.answers import Answer, name_of, unavailable
from app.domain.findings import Finding, Level
from app.domain.words import ByteCount

WORTH_BYTES = 100 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class UnindexedForeignKey:
    """A foreign key without an index on its side."""

    schema_name: str
    table_name: str
    constraint_name: str
    columns: tuple[str, ...]
    table_bytes: int
    referenced_table: str
    referenced_bytes: int
    action: str


def judge(answer: Answer[UnindexedForeignKey]) -> list[Finding]:
    """Whether a large table would be read as a whole for each deletion of what it refers to."""
    worth = [one for one in answer.items if one.table_bytes >= WORTH_BYTES]
    if not worth:
        good = Finding("foreign_keys", Level.GOOD, "Every foreign key of a large table has an index.")
        return unavailable("foreign_keys", answer) or [good]
    largest = max(worth, key=lambda one: one.table_bytes)
    name = name_of(largest.schema_name, largest.table_name)
    sentence = (
        f"{len(worth)} foreign keys of large tables have no index; deleting from {largest.referenced_table} "
        f"reads all of {name} ({ByteCount(largest.table_bytes)})."
    )
    return [Finding("foreign_keys", Level.WARNING, sentence, largest.action)]
