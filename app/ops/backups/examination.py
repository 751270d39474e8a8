"""Examination: whether a database that was just restored is what was backed up, whole, and can be worked with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.db.direct import DirectConnection, direct_connection
from app.db.engine import Database
from app.db.migrations import head_revision, migrate
from app.db.queries import content, restored, validation
from app.db.queries.encryption import encrypted_columns
from app.domain.backups import Manifest, TableContent
from app.domain.errors import DomainError
from app.domain.license_keys import hash_license_key
from app.domain.licenses import ValidationCode, ValidationQuestion, judge
from app.domain.runs import Progress, Tell
from app.ops.backups.contents import read_contents
from app.vault import Vault, WrongKey

COUNTING_SHARE = 60.0
AMCHECK_SHARE = 80.0
PROBING_SHARE = 90.0
MOST_NAMED = 5
"""So many of what is wrong are told by name."""
SAMPLE = 100
"""So many values of each encrypted column are opened on trial."""

VerifyChain = Callable[[Database, Vault, datetime], Awaitable[Sequence[str]]]
"""Gives sentences about what is wrong with the audit trail of a database, at a moment."""


class CheckName(StrEnum):
    """What is looked at, in this order."""

    SCHEMA = "schema"
    CONTENTS = "contents"
    INDEXES = "indexes"
    AMCHECK = "amcheck"
    MIGRATIONS = "migrations"
    KEYS = "keys"
    LICENSE = "license"
    AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, whether it is as it should be, and what was seen."""

    name: CheckName
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Examination:
    """All checks, and how long they took, without the rests that others were given."""

    checks: tuple[Check, ...]
    seconds: float

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong."""
        return all(check.ok for check in self.checks)

    @property
    def faults(self) -> tuple[Check, ...]:
        """What is wrong."""
        return tuple(check for check in self.checks if not check.ok)

    @property
    def is_key_missing(self) -> bool:
        """Whether the only thing that is wrong is that we were not given the keys of what is in it."""
        return bool(self.faults) and {check.name for check in self.faults} <= {CheckName.KEYS, CheckName.LICENSE}

    def as_document(self) -> list[dict[str, Any]]:
        """As the result of a run tells it."""
        return [{"name": check.name.value, "ok": check.ok, "detail": check.detail} for check in self.checks]


async def examine(
    url: str,
    manifest: Manifest,
    vault: Vault,
    now: datetime,
    tell: Tell,
    *,
    verify_chain: VerifyChain,
    rested_share: float = 0.0,
) -> Examination:
    """Look at everything in a restored database; one of an older release is brought to this one's schema on the way.

    After the first check that has found the wrong content there is no probe: it would say nothing. `rested_share` of
    the time is left to others while rows are counted. Raises DatabaseUnavailable.
    """
    began_at = time.monotonic()
    checks = []
    async with direct_connection(url) as direct:
        with direct.translated():
            checks.append(await _check_schema(direct, manifest))
            checks.append(await _check_contents(direct, manifest, tell, rested_share))
            checks.append(await _check_indexes(direct))
            tell(Progress(COUNTING_SHARE, "examining", "amcheck"))
            checks.append(await _check_amcheck(direct))
    if all(check.ok for check in checks):
        tell(Progress(AMCHECK_SHARE, "examining", "migrations"))
        checks.append(await _check_migrations(url, manifest))
    if all(check.ok for check in checks):
        tell(Progress(PROBING_SHARE, "examining", "probe"))
        checks += await _probe(url, manifest, vault, now, verify_chain)
    return Examination(tuple(checks), round(time.monotonic() - began_at, 3))


async def _check_schema(direct: DirectConnection, manifest: Manifest) -> Check:
    head = await content.read_schema_head(direct)
    if head != manifest.schema_head:
        return Check(CheckName.SCHEMA, False, f"The schema is {head} and not {manifest.schema_head}.")
    return Check(CheckName.SCHEMA, True, f"The schema is {head}.")


async def _check_contents(direct: DirectConnection, manifest: Manifest, tell: Tell, rested_share: float) -> Check:
    def tell_table(share: float, table: str) -> None:
        tell(Progress(COUNTING_SHARE * share, "examining", table))

    found = await read_contents(direct, tell_table, rested_share=rested_share)
    faults = _differences({one.name: one for one in manifest.tables}, {one.name: one for one in found})
    if faults:
        more = f" and {len(faults) - MOST_NAMED} more" if len(faults) > MOST_NAMED else ""
        return Check(CheckName.CONTENTS, False, f"{'; '.join(faults[:MOST_NAMED])}{more}.")
    detail = f"{len(found)} tables with {manifest.rows} rows are the same as in the manifest."
    return Check(CheckName.CONTENTS, True, detail)


def _differences(wanted: dict[str, TableContent], found: dict[str, TableContent]) -> list[str]:
    """What is not as the manifest says, table by table."""
    faults = [f"{name} is missing" for name in wanted.keys() - found.keys()]
    faults += [f"{name} is not in the manifest" for name in found.keys() - wanted.keys()]
    for name in wanted.keys() & found.keys():
        if wanted[name].rows != found[name].rows:
            faults.append(f"{name} has {found[name].rows} rows instead of {wanted[name].rows}")
        elif wanted[name].checksum != found[name].checksum:
            faults.append(f"{name} has {found[name].rows} rows as it should, but other ones")
    return sorted(faults)


async def _check_indexes(direct: DirectConnection) -> Check:
    invalid = await restored.list_invalid_indexes(direct)
    if invalid:
        return Check(CheckName.INDEXES, False, f"Invalid indexes: {', '.join(invalid[:MOST_NAMED])}.")
    unchecked = await restored.list_unchecked_constraints(direct)
    told = f" Never checked, as in the live database: {', '.join(unchecked[:MOST_NAMED])}." if unchecked else ""
    return Check(CheckName.INDEXES, True, f"All indexes are valid.{told}")


async def _check_amcheck(direct: DirectConnection) -> Check:
    try:
        broken = await restored.find_broken_object(direct)
    except restored.AmcheckMissing as error:
        return Check(CheckName.AMCHECK, True, f"Not done: {error}.")
    if broken is not None:
        return Check(CheckName.AMCHECK, False, f"{broken}.")
    return Check(CheckName.AMCHECK, True, "Every page of tables and indexes is sound.")


async def _check_migrations(url: str, manifest: Manifest) -> Check:
    head = head_revision()
    if manifest.schema_head == head:
        return Check(CheckName.MIGRATIONS, True, "None was needed.")
    try:
        await asyncio.to_thread(migrate, url)
    except DomainError:
        raise
    except Exception as error:  # whatever an old release left that a migration stumbles over is what we look for
        return Check(CheckName.MIGRATIONS, False, f"{manifest.schema_head} can't be brought to {head}: {error}.")
    return Check(CheckName.MIGRATIONS, True, f"{manifest.schema_head} was brought to {head}.")


async def _probe(url: str, manifest: Manifest, vault: Vault, now: datetime, verify_chain: VerifyChain) -> list[Check]:
    """Work with it, as a server would."""
    async with direct_connection(url) as direct:
        with direct.translated():
            keys = await _check_keys(direct, manifest, vault)
            license = await _check_license(direct, vault, now)
    if not keys.ok:  # the trail's own key is among them
        return [keys, license]
    async with _opened(url) as database:
        faults = await verify_chain(database, vault, manifest.created_at)
    detail = " ".join(faults[:MOST_NAMED]) if faults else "The chain over the audit trail is whole."
    return [keys, license, Check(CheckName.AUDIT, not faults, detail)]


async def _check_keys(direct: DirectConnection, manifest: Manifest, vault: Vault) -> Check:
    if not set(manifest.key_fingerprints) & set(vault.fingerprints()):
        return Check(CheckName.KEYS, False, "None of the keys in ENCRYPTION_KEY was there when it was backed up.")
    foreign, opened = await find_foreign(direct, vault)
    if foreign is not None:
        return Check(CheckName.KEYS, False, f"{foreign} was encrypted with a key that is not in ENCRYPTION_KEY.")
    return Check(CheckName.KEYS, True, f"{opened} encrypted values were opened.")


async def find_foreign(direct: DirectConnection, vault: Vault) -> tuple[str | None, int]:
    """The first column with a value that none of our keys opens, if there is one; how many values were opened."""
    opened = 0
    for table, column in encrypted_columns():
        for token in await restored.list_encrypted(direct, table, column, limit=SAMPLE):
            try:
                vault.decrypt(token)
            except WrongKey:
                return f"{table}.{column}", opened
            opened += 1
    return None, opened


async def _check_license(direct: DirectConnection, vault: Vault, now: datetime) -> Check:
    stored = await restored.find_license(direct)
    if stored is None:
        return Check(CheckName.LICENSE, True, "There is no license yet.")
    try:
        license_key = vault.decrypt(stored.license_key_encrypted)
    except WrongKey:
        return Check(CheckName.LICENSE, False, "A license key can't be decrypted with ENCRYPTION_KEY.")
    question = ValidationQuestion(hash_license_key(license_key))
    [facts] = await validation.find_facts(direct.connection, [question])
    verdict = judge(question, facts, now)
    if verdict.code is ValidationCode.NOT_FOUND:
        return Check(CheckName.LICENSE, False, "A license key was decrypted, and its license is not found by it.")
    return Check(CheckName.LICENSE, True, f"A license was validated: {verdict.code}.")


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Database]:
    database = Database(url, pool_size=1)
    try:
        yield database
    finally:
        await database.close()
