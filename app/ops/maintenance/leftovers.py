"""Leftovers: what a broken REINDEX CONCURRENTLY leaves behind, invalid, in nobody's use, and slowing every change."""

from __future__ import annotations

from collections.abc import Sequence

from app.db.direct import DirectConnection
from app.db.queries import maintenance
from app.domain.upkeep import Action, Hurdle, HurdleKind, IndexFacts
from app.ops.maintenance.ledger import Piece


async def drop_leftovers(direct: DirectConnection, table_oids: Sequence[int] | None = None) -> list[Piece]:
    """Drop the leftovers on these tables, or on all; one that is being built right now is none."""
    found = [index for index in await maintenance.list_indexes(direct, table_oids=table_oids) if index.is_leftover]
    return [await _drop(direct, index) for index in found if index.builder_pid is None]


async def _drop(direct: DirectConnection, index: IndexFacts) -> Piece:
    attempt = await maintenance.drop_index(direct, index)
    entry = {"name": index.title, "table": index.table_title, "sizeBefore": index.bytes}
    if attempt.hurdle is None:
        return Piece({**entry, "action": Action.DROPPED, "reason": "A REINDEX that was broken off had left it."})
    reason = _why_kept(index, attempt.hurdle)
    return Piece({**entry, "action": Action.FAILED, "reason": reason}, f"{index.title}: {reason}")


def _why_kept(index: IndexFacts, hurdle: Hurdle) -> str:
    sentence = f"It is left over from a broken REINDEX, and could not be dropped: {hurdle.sentence}."
    if hurdle.kind is HurdleKind.DENIED:
        whose = "a superuser" if index.is_toast else "the owner of the table"
        return f"{sentence} As {whose}: DROP INDEX CONCURRENTLY {index.title};"
    return f"{sentence} The next reindex tries again."
