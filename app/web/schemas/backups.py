"""Backups in JSON, and the wishes about them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from app.domain.words import require_printable
from app.web.schemas.base import Wish

Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500), AfterValidator(require_printable)]
BackupIdText = Annotated[
    str, StringConstraints(pattern=r"^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?$", to_lower=True)
]


class MakeBackup(Wish):
    """A pinned backup never expires; the note says what it is for."""

    pin: bool = False
    note: Note = Field("", description="What it is for, such as: before the upgrade to 2.0.")


class VerifyBackup(Wish):
    """Which backup; the newest that can be used when none is named."""

    backup: BackupIdText = Field("", description="The id of a backup.")
