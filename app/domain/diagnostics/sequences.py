"""Sequences: how much of the numbers that fit is used up."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.diagnostics.answers import Answer, name_of, quoted, unavailable
from app.domain.findings import Finding, Level

WARNING_SHARE = 0.7
BAD_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class SequenceUse:
    """A sequence; `limit` is the last number that fits it and the column that it fills. A cycle never ends."""

    schema_name: str
    sequence_name: str
    column: str | None
    data_type: str
    last_value: int | None
    limit: int
    used_share: float | None
    is_cycle: bool


def judge(answer: Answer[SequenceUse]) -> list[Finding]:
    """Whether a sequence runs out of numbers."""
    ending = [one for one in answer.items if not one.is_cycle and (one.used_share or 0) >= WARNING_SHARE]
    if not ending:
        return unavailable("sequences", answer) or [Finding("sequences", Level.GOOD, "No sequence runs out.")]
    worst = max(ending, key=lambda one: one.used_share or 0)
    share = worst.used_share or 0
    name = name_of(worst.schema_name, worst.sequence_name)
    first = "" if worst.column is None else f" Its column {worst.column} must be bigint first."
    sentence = f"The sequence {name} has used {share:.0%} of its numbers.{first}"
    level = Level.BAD if share >= BAD_SHARE else Level.WARNING
    room = "NO MAXVALUE" if worst.data_type == "bigint" else "AS bigint"
    action = f"ALTER SEQUENCE {quoted(worst.schema_name, worst.sequence_name)} {room};"
    return [Finding("sequences", level, sentence, action)]
