"""What the stores hold: backups by their manifests, and what is there besides. All of it blocks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from app.domain.backups import (
    MANIFEST_SUFFIX,
    BackupRefused,
    BackupUnavailable,
    Manifest,
    StoreName,
    is_backup_file_name,
    manifest_name,
    read_manifest,
    require_own_name,
)
from app.domain.verifications import Verification, read_verification, verification_name
from app.ops.backups.stores import Store
from app.vault import Vault

LARGEST_MANIFEST = 4 * 1024**2
READ_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Held:
    """A backup that stores hold whole, by its file's size, and the note of its last trial."""

    manifest: Manifest
    stores: tuple[StoreName, ...]
    verification: Verification | None


@dataclass(frozen=True, slots=True)
class Refused:
    """What is not taken for a backup: where it is, and why."""

    location: str
    reason: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything the stores hold; `answered` are those that could be looked at, `problems` why others could not.

    `bare` are those that answered, and have nothing that looks like a backup's.
    """

    backups: Mapping[UUID, Held]
    refused: tuple[Refused, ...]
    answered: frozenset[StoreName]
    bare: frozenset[StoreName]
    problems: tuple[str, ...]


@dataclass(slots=True)
class _Shelf:
    """What was found in one store."""

    store: Store
    manifests: list[tuple[Manifest, Verification | None]] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def take_inventory(stores: Mapping[StoreName, Store], vault: Vault) -> Inventory:
    """Look at everything in the stores; those that can't be read are told and left out."""
    shelves, problems = [], []
    for store in stores.values():
        try:
            shelves.append(_look(store, vault))
        except BackupUnavailable as error:
            problems.append(error.message)
    held, contradictions = _join(shelves)
    refused = [one for shelf in shelves for one in shelf.refused] + contradictions
    answered = frozenset(shelf.store.name for shelf in shelves)
    bare = frozenset(shelf.store.name for shelf in shelves if not (shelf.manifests or shelf.refused))
    return Inventory(held, tuple(refused), answered, bare, tuple(problems))


def write_verification(stores: Iterable[Store], manifest: Manifest, note: Verification, vault: Vault) -> None:
    """Put the signed note beside the backup in these stores; raises BackupUnavailable."""
    signed = replace(note, signature=vault.sign(note.unsigned_text()))
    for store in stores:
        store.put_text(verification_name(manifest.file_name), signed.as_text())


def _look(store: Store, vault: Vault) -> _Shelf:
    sizes, shelf = store.list_sizes(), _Shelf(store)
    names = [name for name in sizes if name.endswith(MANIFEST_SUFFIX)]

    def read(name: str) -> tuple[Manifest, Verification | None] | Refused:
        try:
            manifest = _read_manifest(store, name, sizes, vault)
        except BackupRefused as error:
            return Refused(store.location(name), error.message)
        return manifest, _read_verification(store, manifest, sizes, vault)

    with ThreadPoolExecutor(READ_AT_ONCE) as pool:
        for found in pool.map(read, names):
            shelf.refused.append(found) if isinstance(found, Refused) else shelf.manifests.append(found)
    told = set(names)
    shelf.refused += [
        Refused(store.location(name), "There is no manifest beside it.")
        for name in sizes
        if is_backup_file_name(name) and manifest_name(name) not in told
    ]
    return shelf


def _read_manifest(store: Store, name: str, sizes: Mapping[str, int], vault: Vault) -> Manifest:
    manifest = read_manifest(_read_json(store, name, sizes))
    require_own_name(manifest)
    if manifest.name != name:
        raise BackupRefused(f"It has the name of another one's manifest; its own is {manifest.name}.")
    if not vault.is_signed(manifest.unsigned_text(), manifest.signature):
        raise BackupRefused("It is not signed with a key in ENCRYPTION_KEY: another installation's, or changed.")
    size = sizes.get(manifest.file_name)
    if size is None:
        raise BackupRefused(f"Its file {manifest.file_name} is missing.")
    if size != manifest.bytes:
        raise BackupRefused(f"Its file {manifest.file_name} has {size} bytes instead of {manifest.bytes}.")
    return manifest


def _read_verification(store: Store, manifest: Manifest, sizes: Mapping[str, int], vault: Vault) -> Verification | None:
    """The note of a trial of this very file; one that is not ours counts as none."""
    name = verification_name(manifest.file_name)
    if name not in sizes:
        return None
    try:
        note = read_verification(_read_json(store, name, sizes))
    except BackupRefused:
        return None
    is_ours = vault.is_signed(note.unsigned_text(), note.signature)
    return note if is_ours and (note.backup_id, note.sha256) == (manifest.id, manifest.sha256) else None


def _read_json(store: Store, name: str, sizes: Mapping[str, int]) -> Mapping[str, Any]:
    if sizes[name] > LARGEST_MANIFEST:
        raise BackupRefused(f"It is too large ({sizes[name]} bytes) for what it is called.")
    try:
        document = json.loads(store.read_text(name))
    except (ValueError, RecursionError) as error:
        raise BackupRefused("It is no JSON.") from error
    if not isinstance(document, dict):
        raise BackupRefused("It is no JSON object.")
    return document


def _join(shelves: Iterable[_Shelf]) -> tuple[dict[UUID, Held], list[Refused]]:
    """The backups of all stores; where two tell of the same id and not of the same file, neither is taken."""
    found: dict[UUID, list[tuple[Store, Manifest, Verification | None]]] = {}
    for shelf in shelves:
        for manifest, note in shelf.manifests:
            found.setdefault(manifest.id, []).append((shelf.store, manifest, note))
    held, refused = {}, []
    for backup_id, copies in found.items():
        manifest = copies[0][1]
        if any(one != manifest for _, one, _ in copies):
            sentence = f"There are several manifests of the backup {backup_id}, and they differ."
            refused += [Refused(store.location(one.name), sentence) for store, one, _ in copies]
            continue
        notes = [note for _, _, note in copies if note is not None]
        latest = max(notes, key=lambda note: note.verified_at, default=None)
        held[backup_id] = Held(manifest, tuple(store.name for store, _, _ in copies), latest)
    return held, refused
