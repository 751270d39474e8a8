"""Rows of the catalog of backups."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.db.models import Backup
from app.db.session import Session
from app.domain.backups import OWN_TOOL, BackupStatus


async def make_backup(
    tx: Session, created_at: datetime, status: BackupStatus = BackupStatus.STORED, **others: Any
) -> Backup:
    """A backup of ours, as the catalog has it; without files unless the test puts some."""
    given = {
        "tool": OWN_TOOL,
        "file_name": f"backup-{created_at:%Y%m%dT%H%M%SZ}.dump.zst",
        "stores": ["local"],
    } | others
    backup = Backup(status=status, created_at=created_at, finished_at=created_at, **given)
    tx.add(backup)
    await tx.flush()
    return backup
