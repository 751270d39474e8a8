"""Findings: what a check saw, as one sentence, and the command that mends it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How a finding is meant, from nothing to do to do it now; `unavailable` when nobody could look."""

    GOOD = "good"
    UNAVAILABLE = "unavailable"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check (a stable snake_case name) saw, in one sentence; `action` is a command or SQL that can be run."""

    check: str
    level: Level
    sentence: str
    action: str | None = None


def worst(findings: Iterable[Finding]) -> Level:
    """The level of the whole: that of its worst part, good when there is none."""
    order = list(Level)
    return max((finding.level for finding in findings), key=order.index, default=Level.GOOD)
