"""Rounds: what was busy is tried again when everything else is through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from app.db.direct import DirectConnection
from app.db.queries import maintenance
from app.db.queries.maintenance import Server
from app.db.workbench import Workbench
from app.domain.relations import RelationKind, read_name
from app.domain.upkeep import Action, Hurdle, HurdleKind
from app.ops.maintenance.ledger import Ledger, Piece

TRIES = 3

One = TypeVar("One")


async def in_rounds(ones: Sequence[One], do: Callable[[One], Awaitable[Piece]], ledger: Ledger) -> None:
    """Do each, and those that are busy again at the end, three times altogether."""
    for number in range(1, TRIES + 1):
        busy = []
        for one in ones:
            piece = await do(one)
            if piece.is_busy and number < TRIES:
                busy.append(one)
            else:
                ledger.add(piece)
        ones = busy


async def choose(bench: Workbench, names: Sequence[str], kind: RelationKind, ledger: Ledger) -> list[int] | None:
    """The oids of what was named, None when nothing was; what has vanished since is told."""
    if not names:
        return None
    found = await maintenance.find_relations_directly(bench.direct, [read_name(name) for name in names], kind)
    for name, oid in zip(names, found, strict=True):
        if oid is None:
            reason = "It is not there any more."
            ledger.add(Piece({"name": name, "action": Action.FAILED, "reason": reason}, f"{name}: {reason}"))
    return [oid for oid in found if oid is not None]


async def find_remedy(direct: DirectConnection, server: Server, schema: str, table_title: str) -> str:
    """What lets our role work on a table that it may not touch."""
    closed = await maintenance.find_closed_schema(direct, schema)
    if closed is not None:
        return f"As its owner: GRANT USAGE ON SCHEMA {closed} TO {server.role}; or set DATABASE_DIRECT_URL."
    if server.has_maintain:
        return f"As its owner: GRANT MAINTAIN ON TABLE {table_title} TO {server.role}; or set DATABASE_DIRECT_URL."
    return "Only its owner can do that: set DATABASE_DIRECT_URL to the owner's."


def explain(hurdle: Hurdle, blocker: str | None, remedy: str) -> str:
    """What stood in the way, by whom, and what helps."""
    if hurdle.kind is HurdleKind.BUSY:
        whom = f": {blocker}" if blocker else ""
        return f"Tried {TRIES} times, but {hurdle.sentence}{whom}. Look at the locks, then start it again."
    sentence = f"{hurdle.sentence[0].upper()}{hurdle.sentence[1:]}."
    return f"{sentence} {remedy}" if hurdle.kind is HurdleKind.DENIED else sentence
