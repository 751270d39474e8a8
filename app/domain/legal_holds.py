"""Legal holds: evidence that must stay, whatever its age, until somebody says otherwise."""

from __future__ import annotations

from app.domain.errors import NotFound

LOCK_NAME = "legal holds"
"""Held while a hold is placed, and while something is removed: never both at once."""


class LegalHoldNotFound(NotFound):
    """There is no legal hold with this id."""

    code = "LEGAL_HOLD_NOT_FOUND"
