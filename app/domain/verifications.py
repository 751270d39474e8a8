"""Verifications: the note beside a backup that it was restored on trial; signed, so that nobody else can write one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from app.domain.backups import BackupRefused
from app.domain.signed import Signed

SUFFIX = ".verified.json"
KIND = "verification"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Verification(Signed):
    """That the file with this SHA-256 was restored, when, and how long that took. The signature is over the rest."""

    backup_id: UUID
    sha256: str
    verified_at: datetime
    recovery_seconds: float
    signature: str = ""

    def as_document(self) -> dict[str, Any]:
        """As it is kept."""
        return {
            "format": FORMAT,
            "kind": KIND,
            "backup": str(self.backup_id),
            "sha256": self.sha256,
            "verifiedAt": self.verified_at.astimezone(UTC).isoformat(),
            "recoverySeconds": self.recovery_seconds,
            "signature": self.signature,
        }


def read_verification(document: Mapping[str, Any]) -> Verification:
    """The note that `as_document` wrote; raises BackupRefused."""
    try:
        if document["kind"] != KIND or document["format"] > FORMAT:
            raise BackupRefused("This is no note about a trial, or one of a newer release.")
        return Verification(
            backup_id=UUID(document["backup"]),
            sha256=str(document["sha256"]),
            verified_at=datetime.fromisoformat(document["verifiedAt"]),
            recovery_seconds=float(document["recoverySeconds"]),
            signature=str(document["signature"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BackupRefused(f"The note about a trial can't be read ({type(error).__name__}).") from error


def verification_name(file_name: str) -> str:
    """The name of the note beside a backup's file."""
    return file_name.partition(".")[0] + SUFFIX
