"""Verifications of backups: whether one can be had."""

from __future__ import annotations

from uuid import UUID

from app.db.queries import backups
from app.db.session import Session
from app.domain.backups import require_verifiable


async def require_possible(tx: Session, backup_id: UUID) -> None:
    """Raise BackupNotFound, or BackupStateConflict for a backup that can't be restored on trial."""
    backup = await backups.get_backup(tx, backup_id)
    require_verifiable(backup.tool, backup.status, backup.file_name)
