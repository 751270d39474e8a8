"""Archives: files with what was removed, one JSON document a line, compressed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """A finished file: what is in it, from when to when, and how to tell that it is whole (SHA-256 of the file)."""

    id: UUID
    kind: str
    subject: str
    file_name: str
    rows: int
    bytes: int
    sha256: str
    since: datetime | None
    until: datetime | None
    created_at: datetime

    def as_document(self) -> dict[str, Any]:
        """As it stands in the manifest beside the file."""
        return {
            "file": self.file_name,
            "kind": self.kind,
            "subject": self.subject,
            "rows": self.rows,
            "bytes": self.bytes,
            "sha256": self.sha256,
            "since": None if self.since is None else self.since.isoformat(),
            "until": None if self.until is None else self.until.isoformat(),
            "createdAt": self.created_at.isoformat(),
        }
