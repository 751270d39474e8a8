"""What vacuum and analyze have in common: judge each table, do what it needs, and tell what came of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from app.db.queries import maintenance
from app.db.queries.maintenance import Server
from app.db.workbench import Workbench
from app.domain.maintenance import TableOptions
from app.domain.relations import RelationKind
from app.domain.runs import Outcome, Progress
from app.domain.upkeep import (
    ACTION_OF_STEP,
    Action,
    Hurdle,
    HurdleKind,
    Step,
    TableFacts,
    Verdict,
    keeps_dead_rows,
)
from app.ops.maintenance.ledger import Entry, Ledger, Piece
from app.ops.maintenance.rounds import choose, explain, find_remedy, in_rounds
from app.ops.maintenance.watching import Watch

PHASES = {Step.FREEZE: "vacuuming", Step.VACUUM: "vacuuming", Step.ANALYZE: "analyzing"}


class Judge(Protocol):
    """Says what a table needs."""

    def __call__(self, table: TableFacts, *, is_forced: bool) -> Verdict: ...


@dataclass(frozen=True, slots=True)
class Tending:
    """What doing it needs, beside the table."""

    bench: Workbench
    server: Server
    watch: Watch


@dataclass(frozen=True, slots=True)
class Due:
    """A table, and what it needs."""

    table: TableFacts
    step: Step
    reason: str

    @property
    def weight(self) -> int:
        """How much of the run it is."""
        return max(1, self.table.bytes or 0)


async def tend_tables(bench: Workbench, options: TableOptions, judge: Judge) -> Outcome:
    """Do what each of the chosen tables needs, or all of it when it is forced."""
    ledger = Ledger()
    server = await maintenance.describe_server(bench.direct)
    oids = await choose(bench, options.tables, RelationKind.TABLE, ledger)
    due = []
    tables = await maintenance.list_tables(bench.direct, oids)
    bench.tell(Progress(phase="looking", objects_total=len(tables)))
    for table in tables:
        verdict = judge(table, is_forced=options.force)
        if verdict.step is None:
            ledger.leave(_entry(table, table, Action.SKIPPED, verdict.reason, 0.0))
        else:
            due.append(Due(table, verdict.step, verdict.reason))
    due.sort(key=_turn)

    watch = Watch(bench, weight=sum(one.weight for one in due), objects=len(due))
    tending = Tending(bench, server, watch)
    await in_rounds(due, lambda one: _tend(tending, one), ledger)
    if server.has_database_stats_options and any(one.step is not Step.ANALYZE for one in due):
        await maintenance.update_database_stats(bench.direct)
    return ledger.outcome("tables")


def _turn(due: Due) -> tuple[bool, bool, int]:
    """Those near a wraparound first, a partitioned table after its partitions, otherwise the most dead rows first."""
    return due.table.is_partitioned, due.step is not Step.FREEZE, -due.table.dead_rows


async def _tend(tending: Tending, due: Due) -> Piece:
    direct = tending.bench.direct
    before = await maintenance.find_table(direct, due.table.oid)
    if before is None:
        tending.watch.count(due.weight)
        return _gone(due.table)

    began_at = time.monotonic()
    async with tending.watch.at(before.title, due.weight, PHASES[due.step]):
        attempt = await maintenance.tend_table(direct, tending.server, before, due.step)
    seconds = time.monotonic() - began_at

    after = await maintenance.find_table(direct, before.oid)
    hurdle = attempt.hurdle or _refusal(due.step, before, after, attempt.warnings)
    if hurdle is not None:
        return await _piece_of(tending, due, before, hurdle, seconds)
    tending.watch.count(due.weight)
    entry = _entry(before, after or before, ACTION_OF_STEP[due.step], due.reason, seconds)
    return Piece(entry, _worry(due.step, after or before, attempt.warnings))


def _refusal(step: Step, before: TableFacts, after: TableFacts | None, warnings: tuple[str, ...]) -> Hurdle | None:
    """PostgreSQL skips a table of somebody else with a warning and a success; what counts is whether it counted it.

    The words of the warning depend on the server's version and language.
    """
    if after is None:
        return Hurdle(HurdleKind.VANISHED, "it is not there any more")
    counts = (before.analyzes, after.analyzes) if step is Step.ANALYZE else (before.vacuums, after.vacuums)
    if counts[0] == counts[1] and warnings:
        return Hurdle(HurdleKind.DENIED, " ".join(warnings))
    return None


async def _piece_of(tending: Tending, due: Due, table: TableFacts, hurdle: Hurdle, seconds: float) -> Piece:
    if hurdle.kind is not HurdleKind.BUSY:
        tending.watch.count(due.weight)
    action = Action.SKIPPED if hurdle.kind is HurdleKind.DENIED else Action.FAILED
    remedy = ""
    if hurdle.kind is HurdleKind.DENIED:
        remedy = await find_remedy(tending.bench.direct, tending.server, table.schema, table.title)
    reason = explain(hurdle, tending.watch.blocker, remedy)
    entry = _entry(table, table, action, reason, seconds)
    return Piece(entry, f"{table.title}: {reason}", is_busy=hurdle.kind is HurdleKind.BUSY)


def _worry(step: Step, after: TableFacts, warnings: tuple[str, ...]) -> str | None:
    if step is not Step.ANALYZE and keeps_dead_rows(after):
        return (
            f"{after.title} keeps {after.dead_rows:,} dead rows: a transaction, a prepared one or a replication slot "
            "from before still needs them. End it, and vacuum again."
        )
    return f"{after.title}: {' '.join(warnings)}" if warnings else None


def _gone(table: TableFacts) -> Piece:
    reason = "It is not there any more."
    return Piece(_entry(table, table, Action.FAILED, reason, 0.0), f"{table.title}: {reason}")


def _entry(before: TableFacts, after: TableFacts, action: Action, reason: str, seconds: float) -> Entry:
    return {
        "name": before.title,
        "action": action,
        "reason": reason,
        "deadRowsBefore": before.dead_rows,
        "deadRowsAfter": after.dead_rows,
        "seconds": round(seconds, 3),
        "sizeBefore": before.bytes,
        "sizeAfter": after.bytes,
    }
