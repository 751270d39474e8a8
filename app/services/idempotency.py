"""Idempotency: remember the answer to a request for a day, encrypted, and give it again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.db.encrypted import decrypted
from app.db.models import IdempotencyKey
from app.db.queries import idempotency_keys
from app.db.session import Session
from app.domain.errors import IdempotencyKeyReused
from app.domain.permissions import Principal
from app.domain.retention import IDEMPOTENCY_LIFETIME
from app.vault import Vault


@dataclass(frozen=True, slots=True)
class Request:
    """A request that somebody sent with a key; the fingerprint is the SHA-256 of method, path and body."""

    caller: Principal
    key: str
    fingerprint: bytes

    @property
    def caller_name(self) -> str:
        """Keys of different callers never meet."""
        return f"{self.caller.kind}:{self.caller.id}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the caller got."""

    status: int
    location: str | None
    body: str


async def find_answer(tx: Session, vault: Vault, request: Request, *, now: datetime) -> Answer | None:
    """The answer that was given within the last day; raises IdempotencyKeyReused when the request was another one."""
    found = await idempotency_keys.lock_idempotency_key(tx, request.caller_name, request.key)
    if found is None:
        return None
    if found.created_at < now - IDEMPOTENCY_LIFETIME:
        await tx.delete(found)
        await tx.flush()
        return None
    if found.request_hash != request.fingerprint:
        raise IdempotencyKeyReused
    return Answer(found.status, found.location, decrypted(vault, found.body_encrypted))


async def remember_answer(tx: Session, vault: Vault, request: Request, answer: Answer, *, now: datetime) -> None:
    """Keep the answer, in the same transaction as what it tells of."""
    tx.add(
        IdempotencyKey(
            caller=request.caller_name,
            key=request.key,
            request_hash=request.fingerprint,
            created_at=now,
            status=answer.status,
            location=answer.location,
            body_encrypted=vault.encrypt(answer.body),
        )
    )
    await tx.flush()
