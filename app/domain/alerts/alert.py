"""An alert: what a rule says while its condition holds, and once more when it no longer does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Severity(StrEnum):
    """How soon somebody must act: at once, in working hours, or never (it only shows that alerts arrive)."""

    CRITICAL = "critical"
    WARNING = "warning"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that is wrong since `started_at`; with `ended_at` it no longer is.

    The `fingerprint` is the same as long as rule and labels are: what channels recognise an alert by.
    """

    fingerprint: str
    rule: str
    severity: Severity
    labels: Mapping[str, str]
    summary: str
    value: float
    started_at: datetime
    ended_at: datetime | None = None

    @property
    def is_firing(self) -> bool:
        """Whether it still is so."""
        return self.ended_at is None
