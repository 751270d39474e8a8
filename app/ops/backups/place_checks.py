"""Whether the bucket of the backups answers, before a backup or a restore needs it."""

from __future__ import annotations

from app.domain.backups import BackupRefused, BackupUnavailable
from app.domain.findings import Finding, Level
from app.ops.backups.s3 import Patience, open_s3_store
from app.settings import Settings

BRISK = Patience(piece=4.0, word=4.0)


def check_bucket(settings: Settings, patience: Patience = BRISK) -> list[Finding]:
    """Whether what lies in the bucket can be listed; nothing is said without a bucket, and nothing changed in one.

    Blocks, for some nine seconds when the bucket is silent. That it can be written to is told by the backups' copies.
    """
    store = open_s3_store(settings, patience)
    if store is None:
        return []
    try:
        store.look()
    except (BackupRefused, BackupUnavailable) as error:
        return [Finding("backup_bucket", Level.BAD, error.message, "See BACKUP_S3_* in docs/settings.md.")]
    return [Finding("backup_bucket", Level.GOOD, f"The bucket answers at {settings.backup_s3_url}.")]
