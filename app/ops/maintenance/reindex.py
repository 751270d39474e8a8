"""Reindex: bloated and invalid indexes are rebuilt one by one, while everybody works on."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.db.queries import bloat, maintenance
from app.db.queries.maintenance import Attempt, Server
from app.db.workbench import Workbench
from app.domain.diagnostics.bloat import Bloat, Measured, Method, describe, estimate
from app.domain.maintenance import ReindexOptions
from app.domain.relations import RelationKind
from app.domain.runs import Outcome, Progress
from app.domain.upkeep import (
    Action,
    HurdleKind,
    IndexFacts,
    has_room,
    is_worth_measuring,
    judge_index,
)
from app.domain.words import ByteCount
from app.ops.maintenance.ledger import Entry, Ledger, Piece
from app.ops.maintenance.leftovers import drop_leftovers
from app.ops.maintenance.rounds import choose, explain, find_remedy, in_rounds
from app.ops.maintenance.watching import Watch
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Rebuilding:
    """What doing it needs, beside the index; `dropped` is what became of leftovers, by name."""

    bench: Workbench
    server: Server
    watch: Watch
    dropped: dict[str, Piece]


@dataclass(frozen=True, slots=True)
class Due:
    """An index, and why it is rebuilt."""

    index: IndexFacts
    reason: str

    @property
    def weight(self) -> int:
        """How much of the run it is."""
        return max(1, self.index.bytes or 0)


async def reindex(bench: Workbench, options: ReindexOptions) -> Outcome:
    """Drop leftovers, then rebuild the indexes that need it, or all that were chosen."""
    ledger = Ledger()
    dropped = _by_name(await drop_leftovers(bench.direct))
    table_oids = await choose(bench, options.tables, RelationKind.TABLE, ledger)
    index_oids = await choose(bench, options.indexes, RelationKind.INDEX, ledger)
    found = await maintenance.list_indexes(bench.direct, table_oids=table_oids, index_oids=index_oids)
    due = await _judge(bench, [index for index in found if not index.is_leftover], ledger, is_forced=options.force)

    watch = Watch(bench, weight=sum(one.weight for one in due), objects=len(due))
    rebuilding = Rebuilding(bench, await maintenance.describe_server(bench.direct), watch, dropped)
    await in_rounds(due, lambda one: _rebuild(rebuilding, one), ledger)
    if any(piece.warning is not None for piece in dropped.values()):  # whoever was in the way may be gone by now
        dropped.update(_by_name(await drop_leftovers(bench.direct)))

    for piece in dropped.values():
        if piece.warning is not None:
            ledger.warn(piece.warning)
    return ledger.outcome("indexes", leftovers=[piece.entry for piece in dropped.values()])


async def clean_up(bench: Workbench) -> None:
    """Drop what a reindex left whose owner died."""
    await drop_leftovers(bench.direct)


def free_bytes(settings: Settings) -> int | None:
    """What is free on the disk of the embedded database; None for one elsewhere, whose disk we can't see."""
    return shutil.disk_usage(settings.data_dir).free if settings.database_url is None else None


async def _judge(bench: Workbench, indexes: Sequence[IndexFacts], ledger: Ledger, *, is_forced: bool) -> list[Due]:
    bench.tell(Progress(phase="measuring", objects_total=len(indexes)))
    candidates = [] if is_forced else [index for index in indexes if index.method == "btree" and index.is_valid]
    facts = await bloat.list_indexes(bench.direct, [index.oid for index in candidates])
    extension = await bloat.find_pgstattuple(bench.direct) if candidates else None
    due = []
    for index in indexes:
        found = await _look(bench, index, facts.get(index.oid), extension)
        share, is_exact = (None, False) if found is None else (found.bloat_share, found.method == Method.EXACT)
        verdict = judge_index(index, share, is_exact=is_exact, is_forced=is_forced)
        if verdict.step is None:
            ledger.leave(_entry(index, index, Action.SKIPPED, verdict.reason, 0.0))
        else:
            due.append(Due(index, verdict.reason))
    return due


async def _look(bench: Workbench, index: IndexFacts, facts: Measured | None, extension: str | None) -> Bloat | None:
    """The bloat of an index, measured where that is possible and could matter; None when nobody can tell."""
    if facts is None:
        return None
    if extension is not None and is_worth_measuring(index):
        spare = await bloat.measure_index(bench.direct, extension, facts)
        if spare is not None:
            return describe(replace(facts, bytes=index.bytes or 0), spare, Method.EXACT)
    return estimate(facts)


async def _rebuild(rebuilding: Rebuilding, due: Due) -> Piece:
    direct, index = rebuilding.bench.direct, due.index
    free = free_bytes(rebuilding.bench.settings)
    if not has_room(free, index.bytes):
        rebuilding.watch.count(due.weight)
        room = f"{ByteCount(free or 0)} are free on its disk, and a copy of {ByteCount(index.bytes or 0)} needs room"
        reason = f"There is no room to rebuild it: {room}."
        return Piece(_entry(index, index, Action.SKIPPED, reason, 0.0), f"{index.title}: {reason}")

    began_at = time.monotonic()
    attempt = await _attempt(rebuilding, due)
    seconds = time.monotonic() - began_at

    same_table = await maintenance.list_indexes(direct, table_oids=[index.table_oid])
    after = next((one for one in same_table if (one.schema, one.name) == (index.schema, index.name)), None)
    # One that was broken off in its last wait has the new index in its place already.
    if attempt.hurdle is None or (after is not None and after.oid != index.oid and after.is_valid):
        rebuilding.watch.count(due.weight)
        return Piece(_entry(index, after or index, Action.REBUILT, due.reason, seconds))

    is_busy = attempt.hurdle.kind is HurdleKind.BUSY
    if not is_busy:
        rebuilding.watch.count(due.weight)
    action = Action.SKIPPED if attempt.hurdle.kind is HurdleKind.DENIED else Action.FAILED
    remedy = await _find_remedy(rebuilding, index) if attempt.hurdle.kind is HurdleKind.DENIED else ""
    reason = explain(attempt.hurdle, rebuilding.watch.blocker, remedy)
    return Piece(_entry(index, index, action, reason, seconds), f"{index.title}: {reason}", is_busy=is_busy)


async def _attempt(rebuilding: Rebuilding, due: Due) -> Attempt:
    """Rebuild it; when that fails or is cancelled, what is left over goes at once if it can."""
    direct, index = rebuilding.bench.direct, due.index
    is_whole = False
    try:
        async with rebuilding.watch.at(index.title, due.weight, "rebuilding"):
            attempt = await maintenance.rebuild_index(direct, index)
        is_whole = attempt.hurdle is None
    finally:
        if not is_whole and direct.is_open:
            rebuilding.dropped.update(_by_name(await drop_leftovers(direct, [index.table_oid])))
    return attempt


def _by_name(pieces: Sequence[Piece]) -> dict[str, Piece]:
    return {piece.entry["name"]: piece for piece in pieces}


async def _find_remedy(rebuilding: Rebuilding, index: IndexFacts) -> str:
    server = rebuilding.server
    if index.is_toast:
        return f"As a superuser: GRANT USAGE ON SCHEMA pg_toast TO {server.role}; for the owner of the table."
    return await find_remedy(rebuilding.bench.direct, server, index.table_schema, index.table_title)


def _entry(before: IndexFacts, after: IndexFacts, action: Action, reason: str, seconds: float) -> Entry:
    return {
        "name": before.title,
        "table": before.table_title,
        "action": action,
        "reason": reason,
        "sizeBefore": before.bytes,
        "sizeAfter": after.bytes,
        "seconds": round(seconds, 3),
    }
