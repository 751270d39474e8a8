"""Copies of a backup: whether a file is the one that its manifest tells of, and ours, before anything is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from app.db.migrations import is_known
from app.domain.backups import BackupKeyMissing, BackupRefused, BackupTooNew, Manifest
from app.ops.backups.pipes import recipient_of
from app.ops.backups.reading import check_copy
from app.ops.backups.stores import Store
from app.ops.backups.unpacking import list_entries, require_tables
from app.vault import Vault


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of a backup's file: what it should be, where it is, and what opens it where it is encrypted."""

    manifest: Manifest
    store: Store
    identities: Sequence[str] | None

    def open(self) -> BinaryIO:
        """The file, to be read from its beginning. Blocks."""
        return self.store.open(self.manifest.file_name)


def identities_for(manifest: Manifest, keys: Sequence[str]) -> Sequence[str] | None:
    """What opens the file, None when it is not encrypted; raises BackupKeyMissing."""
    if manifest.encrypted_for is None:
        return None
    fitting = [key for key in keys if recipient_of(key) == manifest.encrypted_for]
    if not fitting:
        raise BackupKeyMissing(
            f"The backup is encrypted for {manifest.encrypted_for}: add the key that belongs to it to"
            " BACKUP_ENCRYPTION_KEY."
        )
    return fitting


def require_ours(manifest: Manifest, vault: Vault) -> None:
    """Raise for a manifest that none of our keys has signed: BackupKeyMissing, or BackupRefused when it was changed."""
    if vault.is_signed(manifest.unsigned_text(), manifest.signature):
        return
    if not set(manifest.key_fingerprints) & set(vault.fingerprints()):
        raise BackupKeyMissing(
            "The backup was made with another encryption key than this server has (its fingerprint is"
            f" {', '.join(manifest.key_fingerprints) or 'unknown'}): add that key to ENCRYPTION_KEY."
        )
    raise BackupRefused("The backup's manifest is not signed with a key of ours: it was changed, or somebody else's.")


def require_known_schema(manifest: Manifest) -> None:
    """Raise BackupTooNew for a schema that this release does not know."""
    if not is_known(manifest.schema_head):
        raise BackupTooNew(
            f"The backup was made by release {manifest.app_version}, whose schema {manifest.schema_head} this release"
            " does not know: update the server first."
        )


def check_file(copy: Copy) -> list[str]:
    """The file's list of contents, once its size and SHA-256 are the manifest's; raises DamagedFile. Blocks."""
    check_copy(copy.store, copy.manifest)
    with copy.open() as file:
        entries = list_entries(file, copy.identities)
    require_tables(entries)
    return entries
