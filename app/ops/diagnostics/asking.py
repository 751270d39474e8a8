"""How a question is asked: that it cannot be answered is an answer too; statements are shown without literals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from app.db.engine import Database
from app.db.queries.diagnostics.reading import question
from app.db.session import Session
from app.domain.diagnostics.answers import Answer, Status, Unanswered
from app.domain.diagnostics.statements import without_literals
from app.telemetry.redaction import redact

HIDDEN = "<insufficient privilege>"

Given = TypeVar("Given", bound=Answer[Any])


async def ask(
    database: Database, look: Callable[[Session], Awaitable[Given]], kind: type[Given], seconds: float
) -> Given:
    """The answer, in a transaction of its own; raises Unavailable only when the database is away."""
    try:
        async with question(database, seconds) as tx:
            return await look(tx)
    except Unanswered as error:
        return kind(status=Status.UNAVAILABLE, reason=error.reason, remedy=error.remedy)


def shown(statement: str | None) -> str | None:
    """The statement without literals and secrets; None when it is hidden."""
    return None if statement is None or statement == HIDDEN else redact(without_literals(statement))
