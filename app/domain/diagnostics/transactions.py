"""Transactions that are open: the old ones hold back the vacuum and keep their locks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.domain.diagnostics.answers import Answer, unavailable
from app.domain.findings import Finding, Level
from app.domain.words import duration_in_words

IDLE_WARNING_SECONDS = 60.0
OPEN_WARNING_SECONDS = 900.0
BAD_SECONDS = 3600.0
PREPARED = "prepared"


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A transaction of our database that is open; `state` is `prepared` for one that no session holds.

    `held_back_xids` is how many transactions the vacuum can't clean up after because of it.
    """

    pid: int | None
    prepared_name: str | None
    user_name: str | None
    application: str | None
    state: str | None
    started_at: datetime
    seconds: float
    state_seconds: float | None
    held_back_xids: int | None
    statement: str | None
    action: str


def judge(answer: Answer[OpenTransaction]) -> list[Finding]:
    """Whether a transaction is open for longer than anything of ours takes."""
    old = [one for one in answer.items if level_of(one) is not Level.GOOD]
    if not old:
        good = Finding("transactions", Level.GOOD, "No transaction is open for long.")
        return unavailable("transactions", answer) or [good]
    oldest = max(old, key=lambda one: one.seconds)
    level = Level.BAD if any(level_of(one) is Level.BAD for one in old) else Level.WARNING
    whose = f"{oldest.prepared_name!r}" if oldest.pid is None else f"of session {oldest.pid}"
    sentence = (
        f"{len(old)} transactions are open for long; the oldest, {whose}, is {oldest.state or 'of another role'} "
        f"and {duration_in_words(oldest.seconds)} old."
    )
    return [Finding("transactions", level, sentence, oldest.action)]


def level_of(one: OpenTransaction) -> Level:
    """How bad it is that this one is still open."""
    is_idle = one.state == PREPARED or (one.state or "").startswith("idle in transaction")
    if one.seconds >= BAD_SECONDS:
        return Level.BAD
    return Level.WARNING if one.seconds >= (IDLE_WARNING_SECONDS if is_idle else OPEN_WARNING_SECONDS) else Level.GOOD
