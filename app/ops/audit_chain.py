"""The chain over the audit trail: sealing what was recorded, and verifying that nothing was changed since."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.db.encrypted import find_chain_key
from app.db.engine import Database
from app.db.models import InstallationSecret
from app.db.queries import audit_chain
from app.db.session import Session
from app.domain.audit_chain import KEY_BYTES, AuditKeyMissing, Base, FindingKind, Head, Verification, make_links
from app.vault import Vault

SEALED_AT_ONCE = 250
VERIFIED_AT_ONCE = 1_000
PATIENCE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Progress:
    """What a step of a verification looked at."""

    links: int = 0
    events: int = 0


async def seal(database: Database, vault: Vault, *, now: datetime) -> int:
    """Link every event that waits, oldest first, in small transactions; how many, 0 when somebody else is at it.

    Raises EncryptionKeyMissing and AuditKeyMissing; the events go on waiting then.
    """
    count = 0
    while True:
        async with database.transaction() as tx:
            taken = await _seal_some(tx, vault, now)
        count += taken
        if taken < SEALED_AT_ONCE:
            return count


async def read_head(database: Database) -> Head:
    """The end of the chain."""
    async with database.transaction() as tx:
        return await audit_chain.find_head(tx)


async def begin_verification(database: Database, vault: Vault, expected: Head | None) -> Verification:
    """A verification that has looked at nothing yet; raises EncryptionKeyMissing and AuditKeyMissing."""
    async with database.transaction() as tx:
        head = await audit_chain.find_head(tx)  # before the key, which the first sealing makes together with it
        key = await find_chain_key(tx, vault)
        if key is None and head != Head():
            raise AuditKeyMissing
    return Verification(key or b"", expected)


async def find_faults(database: Database, vault: Vault, now: datetime) -> list[str]:
    """What is wrong with the trail of a database that nobody works with; at that moment events may wait for links."""
    verification = await begin_verification(database, vault, None)
    async for _ in verify(database, verification, now=now):
        pass
    return [one.sentence for one in verification.findings if one.kind is not FindingKind.WAITING]


async def verify(database: Database, verification: Verification, *, now: datetime) -> AsyncIterator[Progress]:
    """Look at all links that there are now, then at all events, in small transactions; yields what each looked at.

    When the oldest part is archived meanwhile, what was found may be wrong: then it starts anew.
    """
    while True:
        base = await _read_base(database)
        verification.begin(base)
        async for step in _look_at_links(database, verification):
            yield step
        verification.end()
        async for step in _look_at_events(database, verification, now - PATIENCE):
            yield step
        if await _read_base(database) == base:
            return


async def _look_at_links(database: Database, verification: Verification) -> AsyncIterator[Progress]:
    if not verification.key:
        return  # nothing was sealed when it began; what was sealed meanwhile has a key that it does not know
    last = await read_head(database)
    after = 0
    while True:
        async with database.transaction() as tx:
            links = await audit_chain.list_links(tx, after=after, last=last.position, limit=VERIFIED_AT_ONCE)
        for link in links:
            verification.look_at(link)
        yield Progress(links=len(links))
        if len(links) < VERIFIED_AT_ONCE:
            return
        after = links[-1].position


async def _look_at_events(
    database: Database, verification: Verification, old_before: datetime
) -> AsyncIterator[Progress]:
    after: UUID | None = None
    while True:
        async with database.transaction() as tx:
            events = await audit_chain.list_event_states(tx, after=after, old_before=old_before, limit=VERIFIED_AT_ONCE)
        for event in events:
            verification.look_at_event(event)
        yield Progress(events=len(events))
        if len(events) < VERIFIED_AT_ONCE:
            return
        after = events[-1].event_id


async def _read_base(database: Database) -> Base | None:
    async with database.transaction() as tx:
        return await audit_chain.find_base(tx)


async def _seal_some(tx: Session, vault: Vault, now: datetime) -> int:
    if not await audit_chain.has_unsealed(tx) or not await audit_chain.try_lock_chain(tx):
        return 0
    head = await audit_chain.find_head(tx)
    key = await find_chain_key(tx, vault) or await _make_key(tx, vault, head, now)
    events = await audit_chain.list_unsealed(tx, sealed_at=now, limit=SEALED_AT_ONCE)

    links = make_links(key, head, events)

    await audit_chain.append_links(tx, links, events, sealed_at=now)
    return len(events)


async def _make_key(tx: Session, vault: Vault, head: Head, now: datetime) -> bytes:
    """A new key for a new chain; a chain that has links keeps its key, or nobody could verify it again."""
    if head != Head():
        raise AuditKeyMissing
    key = secrets.token_bytes(KEY_BYTES)
    encrypted = vault.encrypt(key.hex())
    tx.add(InstallationSecret(name=audit_chain.KEY_NAME, value_encrypted=encrypted, created_at=now))
    await tx.flush()
    return key
