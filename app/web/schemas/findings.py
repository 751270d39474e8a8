"""Findings in JSON."""

from __future__ import annotations

from app.domain.findings import Level
from app.web.schemas.base import Out


class FindingOut(Out):
    """What a check saw; `action` is a command or SQL that mends it."""

    check: str
    level: Level
    sentence: str
    action: str | None
