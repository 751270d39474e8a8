"""Choice: which backup is restored, by the catalog or by the stores alone, and which copy of its file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from uuid import UUID

from app.db.engine import Database
from app.db.queries import backups
from app.domain.backups import (
    MANIFEST_SUFFIX,
    USABLE,
    BackupFileMissing,
    BackupNotFound,
    BackupRefused,
    BackupStateConflict,
    BackupStatus,
    Manifest,
    read_manifest,
)
from app.domain.errors import DomainError
from app.domain.restores import BackupUnproven
from app.ops.backups.copies import Copy, identities_for, require_known_schema, require_ours
from app.ops.backups.stores import Store, open_stores
from app.settings import Settings
from app.vault import Vault


@dataclass(frozen=True, slots=True)
class Chosen:
    """A copy of a backup, and whether the backup was restored on trial."""

    copy: Copy
    is_verified: bool


async def choose_from_catalog(database: Database, settings: Settings, backup: str) -> Chosen:
    """The backup with this id, or the newest: a verified one, if there is any. Raises what says why it can't be."""
    async with database.transaction() as tx:
        if backup:
            row = await backups.get_backup(tx, UUID(backup))
        else:
            found = await backups.find_newest_usable(tx, is_verified=True) or await backups.find_newest_usable(tx)
            if found is None:
                raise BackupNotFound("There is no backup that could be restored.")
            row = found
    if row.status not in USABLE or row.manifest is None:
        raise BackupStateConflict(f"A backup that is {row.status} can't be restored.")
    return Chosen(find_copy(read_manifest(row.manifest), settings), is_verified=row.status == BackupStatus.VERIFIED)


def choose_from_stores(settings: Settings, vault: Vault, backup: str) -> Chosen:
    """The same without a catalog; the newest is one that is ours, and whose key we must have. Blocks."""
    refusal: DomainError = BackupNotFound(
        "There is no backup in BACKUP_DIR and BACKUP_S3_URL" + (f" with the id {backup}." if backup else ".")
    )
    for _, name, store in sorted(_list_manifests(settings), key=lambda one: one[0], reverse=True):
        try:
            manifest = read_manifest(json.loads(store.read_text(name)))
            if backup and str(manifest.id) != backup:
                continue
            if not backup:
                require_ours(manifest, vault)
        except json.JSONDecodeError:
            refusal = BackupRefused(f"{store.location(name)} can't be read.")
            continue
        except DomainError as error:
            refusal = error
            continue
        identities_for(manifest, settings.backup_keys())  # an older one in its place would lose what came since
        try:
            return Chosen(find_copy(manifest, settings), is_verified=False)
        except BackupFileMissing as error:
            refusal = error
    raise refusal


def find_copy(manifest: Manifest, settings: Settings) -> Copy:
    """The nearest copy of a backup's file; raises BackupFileMissing, and BackupKeyMissing for an encrypted one."""
    identities = identities_for(manifest, settings.backup_keys())
    for store in open_stores(settings).values():
        if manifest.file_name in store.list_names():
            return Copy(manifest, store, identities)
    raise BackupFileMissing(f"{manifest.file_name} is in none of the places of backups.")


def require_trust(chosen: Chosen, vault: Vault, *, is_forced: bool, nothing_to_lose: bool) -> None:
    """Raise unless the backup is ours and of a known schema, and proven; by force it need be neither signed nor proven.

    Where there is nothing to lose our signature is proof enough: it is examined before it is used, anyway.
    """
    manifest = chosen.copy.manifest
    require_known_schema(manifest)
    try:
        require_ours(manifest, vault)
    except BackupRefused:  # changed, though one of our keys is named in it
        if not is_forced:
            raise
    if not (chosen.is_verified or is_forced or nothing_to_lose):
        raise BackupUnproven("This backup was never restored on trial: verify it first, or restore it by force.")


def _list_manifests(settings: Settings) -> list[tuple[str, str, Store]]:
    """Newest first by name, which begins with the time; the nearest store's of those with the same name."""
    found: dict[str, tuple[str, str, Store]] = {}
    for store in open_stores(settings).values():
        for name in store.list_names():
            if name.endswith(MANIFEST_SUFFIX):
                found.setdefault(name, (name, name, store))
    return list(found.values())
