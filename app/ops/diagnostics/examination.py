"""An examination of the database: what is good, what should be looked at, and the command that mends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any

from app.db.deadline import Deadline
from app.db.engine import Database
from app.domain.diagnostics import backups as backup_rules
from app.domain.diagnostics import bloat as bloat_rules
from app.domain.diagnostics import connections as connection_rules
from app.domain.diagnostics import foreign_keys as foreign_key_rules
from app.domain.diagnostics import indexes as index_rules
from app.domain.diagnostics import invalid_objects as invalid_rules
from app.domain.diagnostics import locks as lock_rules
from app.domain.diagnostics import replication as replication_rules
from app.domain.diagnostics import sequences as sequence_rules
from app.domain.diagnostics import statements as statement_rules
from app.domain.diagnostics import tables as table_rules
from app.domain.diagnostics import transactions as transaction_rules
from app.domain.diagnostics import vacuum as vacuum_rules
from app.domain.diagnostics import wraparound as wraparound_rules
from app.domain.diagnostics.answers import MAX_ITEMS
from app.domain.errors import Unavailable
from app.domain.findings import Finding, Level
from app.ops.diagnostics import (
    backups,
    bloat,
    connections,
    foreign_keys,
    indexes,
    invalid_objects,
    locks,
    replication,
    sequences,
    statements,
    tables,
    transactions,
    vacuum,
    wraparound,
)

EXAMINATION_SECONDS = 7.0
QUESTION_SECONDS = 1.5
"""Less than a question has that is asked alone, so that a slow one leaves time for the others."""

Check = tuple[str, Callable[..., Awaitable[Any]], Callable[[Any], list[Finding]]]


async def examine(database: Database, *, now: datetime) -> list[Finding]:
    """All findings, the worst first; what nobody can look at is a finding of its own, and never an error.

    It ends within 8 s, also when the database hangs.
    """
    findings: list[Finding] = []
    waiting = {name: (look, judge) for name, look, judge in _checks(now)}
    try:
        async with Deadline(EXAMINATION_SECONDS):
            for name, (look, judge) in list(waiting.items()):
                answer = await look(database, limit=MAX_ITEMS, seconds=QUESTION_SECONDS)
                findings += judge(answer)
                del waiting[name]
    except TimeoutError:
        sentence = f"There was no time left to look: the database took more than {EXAMINATION_SECONDS:g} s."
        findings += [Finding(name, Level.UNAVAILABLE, sentence) for name in waiting]
    except Unavailable as error:
        findings.append(Finding("connection", Level.BAD, error.message, "license-server doctor"))
        findings += [Finding(name, Level.UNAVAILABLE, "The database does not answer.") for name in waiting]
    order = list(Level)
    return sorted(findings, key=lambda finding: -order.index(finding.level))


def _checks(now: datetime) -> Iterator[Check]:
    """What is looked at, the most urgent first."""
    yield "connections", connections.look, connection_rules.judge
    yield "locks", locks.look, lock_rules.judge
    yield "transactions", transactions.look, transaction_rules.judge
    yield "wraparound", wraparound.look, wraparound_rules.judge
    yield "backups", partial(backups.look, now=now), partial(backup_rules.judge, now=now)
    yield "replication", replication.look, replication_rules.judge
    yield "invalid_objects", invalid_objects.look, invalid_rules.judge
    yield "vacuum", vacuum.look, vacuum_rules.judge
    yield "sequences", sequences.look, sequence_rules.judge
    yield "tables", partial(tables.look, today=now.date()), table_rules.judge
    yield "slow_queries", statements.look, statement_rules.judge
    yield "bloat", bloat.look, bloat_rules.judge
    yield "unused_indexes", partial(indexes.look_for_unused, now=now), index_rules.judge_unused
    yield "duplicate_indexes", indexes.look_for_duplicates, index_rules.judge_duplicates
    yield "foreign_keys", foreign_keys.look, foreign_key_rules.judge
