"""JSON of errors that are alike."""

from __future__ import annotations

from datetime import date

from app.domain.error_groups import ErrorGroup, ErrorSummary
from app.web.schemas.base import Out, OutMoment


class DayCountOut(Out):
    """How often on a day in UTC."""

    day: date
    count: int


class ErrorGroupOut(Out):
    """Errors that are alike."""

    fingerprint: str
    event: str
    exception: str | None
    place: str
    count: int
    first_seen_at: OutMoment
    last_seen_at: OutMoment
    days: list[DayCountOut]


class ErrorSummaryOut(Out):
    """The errors of a window, the largest groups first."""

    since: OutMoment
    until: OutMoment
    count: int
    group_count: int
    groups: list[ErrorGroupOut]

    @classmethod
    def of(cls, summary: ErrorSummary) -> ErrorSummaryOut:
        """The summary as JSON."""
        return cls(
            since=summary.window.since,
            until=summary.window.until,
            count=summary.count,
            group_count=summary.group_count,
            groups=[_group(one) for one in summary.groups],
        )


def _group(group: ErrorGroup) -> ErrorGroupOut:
    return ErrorGroupOut(
        fingerprint=group.fingerprint,
        event=group.event,
        exception=group.exception,
        place=group.place,
        count=group.occurrences.count,
        first_seen_at=group.occurrences.first_seen_at,
        last_seen_at=group.occurrences.last_seen_at,
        days=[DayCountOut.model_validate(one) for one in group.days],
    )
