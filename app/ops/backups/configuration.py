"""Configuration bundles: sealed for the recovery key, kept beside the backups, and opened again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyrage

from app import __version__
from app.db import events
from app.db.engine import Database
from app.db.queries.installation_secrets import find_secret, put_secret
from app.db.workbench import Workbench
from app.domain.backups import StoreName
from app.domain.configuration import (
    KEY_COPY_FILE,
    PREFIX,
    Bundle,
    ConfigurationDamaged,
    ConfigurationRefused,
    GivenSetting,
    KeyCopy,
    WrongRecoveryKey,
    is_bundle_name,
    read_bundle,
)
from app.domain.errors import DomainError
from app.domain.events import EventName
from app.domain.permissions import Principal
from app.ops.backups.configuration_files import give_to_owner
from app.ops.backups.stores import PARTIAL, Store, open_stores
from app.settings import Settings
from app.vault import Vault, VaultError, keys_from_text

RECORD_NAME = "configuration"
KEPT_BUNDLES = 10
UNREADABLE_RECORD = (
    "The database holds no recovery key's recipient where it should; somebody has changed it."
    " `license-server configuration backup --new-recovery-key` makes another."
)
LARGEST_BUNDLE = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Record:
    """What the database knows: for which recovery key bundles are sealed, and the last one, by its signed content."""

    recipient: str
    signature: str = ""
    file_name: str = ""


def make_recovery_key() -> tuple[str, str]:
    """A new recovery key, and the recipient that seals for it; only the latter is ever kept here."""
    identity = pyrage.x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def gather(settings: Settings, *, now: datetime) -> Bundle:
    """Every setting and key of this installation. Raises VaultError where the key's file can't be read."""
    path = settings.data_dir / "encryption.key"
    key_file = None
    if settings.encryption_key is None:
        try:
            key_file = path.read_text().strip()
        except OSError as error:
            raise VaultError(f"The encryption key {path} can't be read: {error.strerror}.") from error
    return Bundle(
        created_at=now,
        app_version=__version__,
        settings=tuple(GivenSetting(one.name, one.value, one.source) for one in settings.given),
        key_file=key_file,
        key_fingerprints=Vault(keys_from_text(key_file) if key_file else settings.encryption_keys()).fingerprints(),
    )


def seal(bundle: Bundle, recipient: str) -> str:
    """The bundle for whoever has the recovery key alone; plain ASCII, so that it can be printed."""
    plain = json.dumps(bundle.as_document()).encode()
    sealed: bytes = pyrage.encrypt(plain, [pyrage.x25519.Recipient.from_str(recipient)], armored=True)
    return sealed.decode()


def unseal(text: bytes, recovery_key: str) -> Bundle:
    """The bundle in a file; raises WrongRecoveryKey, ConfigurationDamaged and ConfigurationRefused."""
    if not text.lstrip().startswith((b"-----BEGIN AGE ENCRYPTED FILE-----", b"age-encryption.org/")):
        raise ConfigurationRefused("This file is no configuration bundle: it is not encrypted with age.")
    try:
        identity = pyrage.x25519.Identity.from_str(recovery_key.strip().upper())
    except pyrage.IdentityError as error:
        raise WrongRecoveryKey(
            "This is no recovery key: it begins with AGE-SECRET-KEY-1 and has 74 letters."
        ) from error
    try:
        plain = pyrage.decrypt(text.strip() + b"\n", [identity])
    except pyrage.DecryptError as error:
        if "No matching keys" in str(error):
            raise WrongRecoveryKey from error
        raise ConfigurationDamaged from error
    try:
        return read_bundle(json.loads(plain))
    except ValueError as error:
        raise ConfigurationRefused("The bundle holds no configuration that can be read.") from error


async def find_record(database: Database, vault: Vault) -> Record | None:
    """For which recovery key bundles are sealed here; None before there is one."""
    async with database.transaction() as tx:
        kept = await find_secret(tx, RECORD_NAME)
    if kept is None:
        return None
    try:
        document = json.loads(vault.decrypt(kept.value_encrypted))
        pyrage.x25519.Recipient.from_str(document["recipient"])
        return Record(document["recipient"], document["signature"], document["fileName"])
    except (ValueError, KeyError, TypeError, pyrage.RecipientError) as error:
        raise VaultError(UNREADABLE_RECORD) from error


def record_of(recipient: str, bundle: Bundle, vault: Vault, *, is_in_stores: bool) -> Record:
    """What is remembered of a bundle; of one that was put elsewhere only for whom it is sealed."""
    if not is_in_stores:
        return Record(recipient)
    return Record(recipient, vault.sign(bundle.content()), bundle.file_name)


async def put_record(
    database: Database, vault: Vault, record: Record, bundle: Bundle, asker: Principal, places: Sequence[str]
) -> None:
    """Remember it, with a line in the audit trail that says where the bundle went."""
    document = {"recipient": record.recipient, "signature": record.signature, "fileName": record.file_name}
    told = {"places": list(places), "recipient": record.recipient, "keyFingerprints": list(bundle.key_fingerprints)}
    encrypted = vault.encrypt(json.dumps(document))
    async with database.transaction() as tx:
        await put_secret(tx, RECORD_NAME, encrypted, now=bundle.created_at)
        await events.record(
            tx, asker, EventName.CONFIGURATION_BACKED_UP, bundle.file_name, now=bundle.created_at, data=told
        )


async def keep_configuration(bench: Workbench) -> tuple[str, ...]:
    """Put the bundle beside the backups where it has changed or is missing; what went wrong, in sentences.

    Does nothing before somebody has made a recovery key. Never raises what is known: a backup is good without it.
    """
    try:
        record = await find_record(bench.database, bench.vault)
        if record is None:
            return ()
        bundle = gather(bench.settings, now=bench.now())
        stores = open_stores(bench.settings)
        signature = bench.vault.sign(bundle.content())
        is_known = signature == record.signature
        problems: list[str] = []
        file_name = record.file_name if is_known else bundle.file_name
        sealed = seal(bundle, record.recipient)
        everywhere = list(stores.values())
        there, added = await asyncio.to_thread(
            _put_everywhere, everywhere, file_name, sealed, problems, is_known=is_known
        )
        if there:
            await asyncio.to_thread(note_key_copy, bench.settings, bundle, there)
        if added:
            kept = Record(record.recipient, signature, file_name)
            places = [str(store.name) for store in added]
            await put_record(bench.database, bench.vault, kept, bundle, bench.asker, places)
        return tuple(f"The configuration bundle is not everywhere: {problem}" for problem in problems)
    except (DomainError, VaultError, OSError) as error:
        return (f"The configuration was not backed up: {error}",)


def put_bundle(stores: Sequence[Store], file_name: str, sealed: str) -> list[Store]:
    """Put a bundle into all stores; where it is now. Raises the last problem when it is nowhere. Blocks."""
    problems: list[DomainError] = []
    there = []
    for store in stores:
        try:
            store.put_text(file_name, sealed)
            there.append(store)
        except DomainError as error:
            problems.append(error)
    if not there:
        raise problems[-1]
    return there


def note_key_copy(settings: Settings, bundle: Bundle, stores: Sequence[Store]) -> KeyCopy | None:
    """Remember beside the key that a copy is in one of these stores, if that is off DATA_DIR's disk. Blocks."""
    away = [store for store in stores if is_off_disk(settings, store)]
    if not away:
        return None
    return write_key_copy(settings, bundle, away[-1].location(""))


def write_key_copy(settings: Settings, bundle: Bundle, where: str) -> KeyCopy | None:
    """Remember beside the key where a copy of it is; None where the key is in the settings alone."""
    if bundle.key_file is None:
        return None
    copy = KeyCopy(bundle.key_fingerprints, bundle.created_at, where)
    path = settings.data_dir / KEY_COPY_FILE
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    draft.write_text(copy.as_text())
    draft.chmod(0o644)  # it holds no secret, and whoever runs the doctor may read it
    give_to_owner(draft)
    draft.replace(path)  # also one that root has left here
    return copy


def is_off_disk(settings: Settings, store: Store) -> bool:
    """Whether what is there survives the loss of DATA_DIR's disk."""
    return store.name is not StoreName.LOCAL or is_other_disk(settings, settings.backup_dir)


def is_other_disk(settings: Settings, folder: Path) -> bool:
    """Whether a folder is on another disk than DATA_DIR."""
    return _device(folder) != _device(settings.data_dir)


def _device(folder: Path) -> int:
    """The number of the disk of a folder, or of the nearest one above that exists."""
    whole = folder.resolve()
    return next(one for one in (whole, *whole.parents) if one.is_dir()).stat().st_dev


def _put_everywhere(
    stores: Sequence[Store], name: str, sealed: str, problems: list[str], *, is_known: bool
) -> tuple[list[Store], list[Store]]:
    """Where the bundle is now, and where it was put just now; what went wrong is added to the problems."""
    there, added = [], []
    for store in stores:
        try:
            names = store.list_names()
            if name not in names or not is_known:
                store.put_text(name, sealed)
                added.append(store)
            there.append(store)
            _forget_old(store, [*names, name])
        except DomainError as error:
            problems.append(error.message)
    return there, added


def _forget_old(store: Store, names: Sequence[str]) -> None:
    bundles = sorted({name for name in names if is_bundle_name(name)})
    drafts = [name for name in names if name.startswith(PREFIX) and name.endswith(PARTIAL)]
    for name in [*bundles[:-KEPT_BUNDLES], *drafts]:
        with suppress(DomainError):  # the next backup tries again
            store.delete(name)
