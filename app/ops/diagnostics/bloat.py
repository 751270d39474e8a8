"""Which tables and indexes hold much room and little else?"""

from __future__ import annotations

import time

from app.db.engine import Database
from app.db.queries.diagnostics import bloat as queries
from app.db.queries.diagnostics.reading import question
from app.db.session import Session
from app.domain.diagnostics.answers import DEFAULT_ITEMS, QUESTION_SECONDS, Answer, Status, Unanswered
from app.domain.diagnostics.bloat import (
    EXACT_OBJECTS,
    EXACT_SECONDS,
    WORTH_AN_ESTIMATE_BYTES,
    Bloat,
    BloatKind,
    Measured,
    Method,
    describe,
    estimate,
)
from app.ops.diagnostics.asking import ask

MAX_OBJECTS = 200
"""So many tables and indexes are looked at, the largest first."""


async def look(database: Database, *, limit: int = DEFAULT_ITEMS, seconds: float = QUESTION_SECONDS) -> Answer[Bloat]:
    """An estimate for tables, TOAST and btree indexes, that with the most to spare first."""

    async def see(tx: Session) -> Answer[Bloat]:
        return _answer([estimate(one) for one in await _list_facts(tx)], limit)

    return await ask(database, see, Answer, seconds)


async def measure(database: Database, *, limit: int = DEFAULT_ITEMS, seconds: float = EXACT_SECONDS) -> Answer[Bloat]:
    """The largest ones by looking at each page, as far as the time reaches; the others are left out."""
    ends_at = time.monotonic() + seconds
    try:
        async with question(database, QUESTION_SECONDS) as tx:
            schema = await queries.get_extension_schema(tx)
            facts = sorted(await _list_facts(tx), key=lambda one: -one.bytes)
    except Unanswered as error:
        return Answer(Status.UNAVAILABLE, reason=error.reason, remedy=error.remedy)
    wanted = _largest(facts)
    found: list[Bloat] = []
    refusals: list[Unanswered] = []
    while wanted and (left := ends_at - time.monotonic()) > 0:
        one = wanted.pop(0)
        try:
            async with question(database, left / (len(wanted) + 1)) as tx:
                found.append(describe(one, await queries.measure(tx, schema, one), Method.EXACT))
        except Unanswered as error:
            refusals.append(error)
    if refusals and not found:
        return Answer(Status.UNAVAILABLE, reason=refusals[0].reason, remedy=refusals[0].remedy)
    missing = len(wanted) + len(refusals)
    reason = f"{missing} more were not measured within {seconds:g} s." if missing else None
    return Answer(items=_ranked(found)[:limit], reason=reason)


def _largest(facts: list[Measured]) -> list[Measured]:
    """The largest tables, TOAST among them, and the largest indexes."""
    are_indexes = [one for one in facts if one.kind == BloatKind.INDEX]
    others = [one for one in facts if one.kind != BloatKind.INDEX]
    return others[:EXACT_OBJECTS] + are_indexes[:EXACT_OBJECTS]


async def _list_facts(tx: Session) -> list[Measured]:
    tables = await queries.list_tables(tx, limit=MAX_OBJECTS)
    return [*tables, *await queries.list_indexes(tx, limit=MAX_OBJECTS)]


def _answer(found: list[Bloat], limit: int) -> Answer[Bloat]:
    unknown = sum(one.bloat_bytes is None and one.bytes >= WORTH_AN_ESTIMATE_BYTES for one in found)
    if not unknown:
        return Answer(items=_ranked(found)[:limit])
    reason = f"{unknown} have no statistics that this role can read, so no estimate."
    return Answer(items=_ranked(found)[:limit], reason=reason, remedy="license-server maintenance analyze")


def _ranked(found: list[Bloat]) -> tuple[Bloat, ...]:
    return tuple(sorted(found, key=lambda one: (-(one.bloat_bytes or 0), -one.bytes, one.name)))
