"""Retention and archives in JSON."""

from __future__ import annotations

from uuid import UUID

from app.domain.retention import End, Kind, Rule, Stock
from app.web.schemas.base import Out, OutMoment


class RetainedOut(Out):
    """One kind of what grows: how long it is kept, counted from when, what becomes of it, and how much there is.

    `keptDays` is null for what is kept for ever. Of a very large table `rows` is an estimate.
    """

    name: Kind
    kept: str
    kept_days: int | None
    counted_from: str
    end: End
    is_evidence: bool
    rows: int
    is_estimate: bool
    bytes: int
    oldest_at: OutMoment | None

    @classmethod
    def of(cls, rule: Rule, stock: Stock) -> RetainedOut:
        """The kind as it is answered."""
        return cls(
            name=rule.kind,
            kept=rule.kept,
            kept_days=None if rule.kept_for is None else rule.kept_for.days,
            counted_from=rule.counted_from,
            end=rule.end,
            is_evidence=rule.is_evidence,
            rows=stock.rows,
            is_estimate=stock.is_estimate,
            bytes=stock.bytes,
            oldest_at=stock.oldest_at,
        )


class RetentionOut(Out):
    """Everything that grows."""

    kinds: list[RetainedOut]


class ArchiveOut(Out):
    """A file in ARCHIVE_DIR with what was removed; the SHA-256 is the file's."""

    id: UUID
    kind: Kind
    subject: str
    file_name: str
    rows: int
    bytes: int
    sha256: str
    since: OutMoment | None
    until: OutMoment | None
    created_at: OutMoment
