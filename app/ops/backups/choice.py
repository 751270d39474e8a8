"""Choice: which backup is restored, by the catalog or by the stores alone, and which copy of its file."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    BackupUnavailable,
    Manifest,
    read_manifest,
)
from app.domain.errors import DomainError
from app.domain.restores import BackupUnproven
from app.ops.backups.copies import Copy, check_file, identities_for, require_known_schema, require_ours
from app.ops.backups.reading import find_store, read_manifest_at
from app.ops.backups.stores import Store, open_stores
from app.settings import Settings
from app.vault import Vault


@dataclass(frozen=True, slots=True)
class Chosen:
    """A copy of a backup, and whether the backup was restored on trial."""

    copy: Copy
    is_verified: bool


@dataclass(frozen=True, slots=True)
class WholeCopy:
    """A copy that was checked, the list of its contents, and what is wrong with nearer ones."""

    copy: Copy
    entries: list[str]
    faults: tuple[str, ...]


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
    """The same without a catalog; the newest is one that is ours, of all stores, and whose key we must have. Blocks.

    Where a store does not answer, the newest may be in it: then only a backup that is named is found.
    """
    refusal: DomainError = BackupNotFound(
        "There is no backup in BACKUP_DIR and BACKUP_S3_URL" + (f" with the id {backup}." if backup else ".")
    )
    manifests, problems = _list_manifests(settings)
    if problems and not backup:
        raise BackupUnavailable(f"{problems[0].message} The newest backup may be there: name one to do without.")
    for name, store in manifests:
        try:
            manifest = read_manifest_at(store, name)
            if backup and str(manifest.id) != backup:
                continue
            if not backup:
                require_ours(manifest, vault)
        except DomainError as error:
            refusal = error
            continue
        identities_for(manifest, settings.backup_keys())  # an older one in its place would lose what came since
        try:
            return Chosen(find_copy(manifest, settings), is_verified=False)
        except BackupFileMissing as error:
            refusal = error
    raise problems[0] if problems and isinstance(refusal, BackupNotFound) else refusal


def find_copy(manifest: Manifest, settings: Settings) -> Copy:
    """The nearest copy of a backup's file; raises as `find_store` does, and BackupKeyMissing for an encrypted one."""
    identities = identities_for(manifest, settings.backup_keys())
    return Copy(manifest, find_store(open_stores(settings), manifest), identities)


def find_whole_copy(chosen: Chosen, settings: Settings) -> WholeCopy:
    """The chosen copy, or the nearest other one, that was read to its end and is whole. Blocks.

    Raises what is wrong with the chosen one when none is.
    """
    faults: list[BackupRefused | BackupUnavailable] = []
    others = [store for store in open_stores(settings).values() if store.name is not chosen.copy.store.name]
    for store in (chosen.copy.store, *others):
        copy = replace(chosen.copy, store=store)
        try:
            entries = check_file(copy)
        except (BackupRefused, BackupUnavailable) as error:
            faults.append(error)
        else:
            told = (f"The copy in {store.name} was restored, for another is not whole: {one.message}" for one in faults)
            return WholeCopy(copy, entries, tuple(told))
    raise faults[0]


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


def _list_manifests(settings: Settings) -> tuple[list[tuple[str, Store]], list[BackupUnavailable]]:
    """Newest first by name, which begins with the time, and the nearest store's first; why other stores were not read.

    All copies of a manifest are there: the nearest one may be damaged.
    """
    found: list[tuple[str, Store]] = []
    problems: list[BackupUnavailable] = []
    for store in open_stores(settings).values():
        try:
            found += [(name, store) for name in store.list_names() if name.endswith(MANIFEST_SUFFIX)]
        except BackupUnavailable as error:
            problems.append(error)
    return sorted(found, key=lambda one: one[0], reverse=True), problems
