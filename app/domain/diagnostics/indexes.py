"""Indexes: how they are used, which nobody uses, and which another one makes superfluous."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from app.domain.diagnostics.answers import Answer, Status, name_of, unavailable
from app.domain.findings import Finding, Level
from app.domain.words import ByteCount, duration_in_words

EVIDENCE_AGE = timedelta(days=7)
WORTH_BYTES = 10 * 1024 * 1024
"""Less than that is not worth a warning, unless it is written to with every row anyway."""


@dataclass(frozen=True, slots=True)
class IndexUse:
    """How often an index was read; `last_scan_at` from PostgreSQL 16 on."""

    schema_name: str
    table_name: str
    index_name: str
    method: str
    is_unique: bool
    is_valid: bool
    scans: int
    rows_read: int
    rows_fetched: int
    last_scan_at: datetime | None
    bytes: int


@dataclass(frozen=True, slots=True)
class UnusedIndex:
    """An index that was never read since the statistics began, and that nothing but reading needs.

    `action` is None as long as it is too early to drop it.
    """

    schema_name: str
    table_name: str
    index_name: str
    bytes: int
    action: str | None


@dataclass(frozen=True, slots=True)
class UnusedIndexes(Answer[UnusedIndex]):
    """What was never read, and whether the statistics are old enough to say so."""

    is_conclusive: bool = False
    evidence: str | None = None


@dataclass(frozen=True, slots=True)
class DuplicateIndex:
    """An index whose work another one of the table does as well.

    That one has the same columns (`kind` is `duplicate`), or begins with them (`prefix`).
    """

    schema_name: str
    table_name: str
    index_name: str
    kind: str
    definition: str
    scans: int
    bytes: int
    covered_by: str
    covering_definition: str
    covering_scans: int
    action: str


def weigh(items: tuple[UnusedIndex, ...], since: datetime, now: datetime) -> UnusedIndexes:
    """Whether the indexes were watched for long enough; standbys keep counts of their own."""
    age = now - since
    is_conclusive = age >= EVIDENCE_AGE
    watched = duration_in_words(age.total_seconds())
    if is_conclusive:
        evidence = f"Not read in {watched}; reads on standbys are counted there: look before you drop one."
    else:
        items = tuple(replace(one, action=None) for one in items)
        evidence = f"Too early to say: the statistics began {watched} ago; wait until they are 7 days old."
    return UnusedIndexes(Status.AVAILABLE, items, since=since, is_conclusive=is_conclusive, evidence=evidence)


def judge_unused(answer: UnusedIndexes) -> list[Finding]:
    """Whether there are large indexes that nobody reads."""
    if answer.status is Status.UNAVAILABLE:
        return unavailable("unused_indexes", answer)
    worth = [one for one in answer.items if one.bytes >= WORTH_BYTES]
    if not worth:
        return [Finding("unused_indexes", Level.GOOD, "No large index is unused.")]
    if not answer.is_conclusive:
        return [Finding("unused_indexes", Level.GOOD, answer.evidence or "Too early to say.")]
    largest = max(worth, key=lambda one: one.bytes)
    name = name_of(largest.schema_name, largest.index_name)
    total = ByteCount(sum(one.bytes for one in worth))
    sentence = f"{len(worth)} indexes with {total} are never read, the largest is {name}. {answer.evidence}"
    return [Finding("unused_indexes", Level.WARNING, sentence, largest.action)]


def judge_duplicates(answer: Answer[DuplicateIndex]) -> list[Finding]:
    """Whether there are large indexes that another one makes superfluous."""
    worth = [one for one in answer.items if one.bytes >= WORTH_BYTES]
    if not worth:
        good = Finding("duplicate_indexes", Level.GOOD, "No large index does what another one does.")
        return unavailable("duplicate_indexes", answer) or [good]
    largest = max(worth, key=lambda one: one.bytes)
    name = name_of(largest.schema_name, largest.index_name)
    sentence = f"{len(worth)} indexes do what another one does; {name} is covered by {largest.covered_by}."
    return [Finding("duplicate_indexes", Level.WARNING, sentence, largest.action)]
