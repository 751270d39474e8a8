"""Wraparound: how near the database is to running out of transaction ids, when it stops taking writes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.domain.diagnostics.answers import Answer, maintenance, name_of, unavailable
from app.domain.findings import Finding, Level

CATALOG = "pg_catalog"
WARNING_FACTOR = 2.0
"""Autovacuum begins at its maximum age; at twice that it does not get on."""
BAD_SHARE = 0.5


class Holder(StrEnum):
    """Whose oldest transaction id is meant."""

    DATABASE = "database"
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class WraparoundAge:
    """How old the oldest transaction id and multixact id of a database or table are.

    `share` is the greater of both ages as a part of 2^31, at which writing ends.
    """

    kind: str
    schema_name: str | None
    name: str
    xid_age: int
    xid_freeze_max_age: int
    multixact_age: int
    multixact_freeze_max_age: int
    share: float
    is_ours: bool


def level_of(one: WraparoundAge) -> Level:
    """Whether autovacuum keeps up with the age."""
    factor = max(one.xid_age / one.xid_freeze_max_age, one.multixact_age / one.multixact_freeze_max_age)
    if one.share >= BAD_SHARE:
        return Level.BAD
    return Level.WARNING if factor >= WARNING_FACTOR else Level.GOOD


def judge(answer: Answer[WraparoundAge]) -> list[Finding]:
    """Whether a database or table grows old faster than autovacuum freezes it."""
    if not answer.items:
        return unavailable("wraparound", answer) or [Finding("wraparound", Level.GOOD, "There is nothing to freeze.")]
    oldest = max(answer.items, key=lambda one: (one.share, one.kind == Holder.DATABASE, one.is_ours))
    sentence = (
        f"The oldest transaction id, of the {oldest.kind} {_title(oldest)}, is at {oldest.share:.0%} of the limit."
    )
    levels = [level_of(one) for one in answer.items]
    level = next((one for one in (Level.BAD, Level.WARNING) if one in levels), Level.GOOD)
    return [Finding("wraparound", level, sentence, None if level is Level.GOOD else _action(answer, oldest))]


def _title(one: WraparoundAge) -> str:
    return name_of(one.schema_name, one.name) if one.schema_name else one.name


def _action(answer: Answer[WraparoundAge], oldest: WraparoundAge) -> str:
    if not oldest.is_ours:
        return f"vacuumdb --freeze --dbname={oldest.name}"
    tables = [one for one in answer.items if one.kind == Holder.TABLE and one.schema_name]
    if not tables:
        return "license-server maintenance vacuum --force"
    worst = max(tables, key=lambda one: one.share)
    assert worst.schema_name is not None, "tables have a schema"
    if worst.schema_name == CATALOG:
        return "VACUUM (FREEZE);"
    return maintenance("vacuum", "table", worst.schema_name, worst.name) + " --force"
