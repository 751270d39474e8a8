"""Vacuum health: does autovacuum keep up with the dead rows of each table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.domain.diagnostics.answers import Answer, Status, maintenance, name_of, quoted, unavailable
from app.domain.findings import Finding, Level

WARNING_FACTOR = 2.0
WORTH_ROWS = 1000


@dataclass(frozen=True, slots=True)
class TableVacuum:
    """The dead rows of a table against the number at which autovacuum begins; `share` 1 is that number."""

    schema_name: str
    table_name: str
    rows_estimate: int
    dead_rows: int
    vacuum_threshold: int
    share: float
    changes_since_analyze: int
    analyze_threshold: int
    is_autovacuum_on: bool
    last_vacuum_at: datetime | None
    last_autovacuum_at: datetime | None
    last_analyze_at: datetime | None
    last_autoanalyze_at: datetime | None


@dataclass(frozen=True, slots=True)
class RunningVacuum:
    """A vacuum that is under way; `percent` is that of the table's blocks that were read."""

    pid: int
    table: str | None
    phase: str | None
    percent: float | None
    is_autovacuum: bool | None


@dataclass(frozen=True, slots=True)
class VacuumHealth(Answer[TableVacuum]):
    """Tables by how far they are past their threshold, and the vacuums under way."""

    is_autovacuum_on: bool = True
    running: tuple[RunningVacuum, ...] = ()


def judge(answer: VacuumHealth) -> list[Finding]:
    """Whether autovacuum is on and keeps up."""
    if answer.status is Status.UNAVAILABLE:
        return unavailable("vacuum", answer)
    findings = []
    if not answer.is_autovacuum_on:
        action = "ALTER SYSTEM SET autovacuum = on; SELECT pg_reload_conf();"
        findings.append(Finding("vacuum", Level.BAD, "Autovacuum is off for the whole server.", action))
    findings += [_switched_off(one) for one in answer.items if not one.is_autovacuum_on]
    late = [one for one in answer.items if one.share >= WARNING_FACTOR and one.dead_rows >= WORTH_ROWS]
    if late:
        worst = max(late, key=lambda one: one.share)
        name = name_of(worst.schema_name, worst.table_name)
        sentence = f"{len(late)} tables wait for a vacuum; {name} has {worst.dead_rows} dead rows."
        action = maintenance("vacuum", "table", worst.schema_name, worst.table_name)
        findings.append(Finding("vacuum", Level.WARNING, sentence, action))
    return findings or [Finding("vacuum", Level.GOOD, "Autovacuum keeps up with the dead rows.")]


def _switched_off(one: TableVacuum) -> Finding:
    sentence = f"Autovacuum is off for the table {name_of(one.schema_name, one.table_name)}."
    action = f"ALTER TABLE {quoted(one.schema_name, one.table_name)} RESET (autovacuum_enabled);"
    return Finding("vacuum", Level.WARNING, sentence, action)
