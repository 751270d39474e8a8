"""Idempotency: the same creation sent twice creates once, for a day, for each caller apart."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select

from app.db.engine import Database
from app.db.models import IdempotencyKey, Product
from app.db.session import Session
from app.domain.errors import IdempotencyKeyReused
from app.domain.permissions import COMMAND_LINE, Principal
from app.services import idempotency
from app.services.idempotency import Answer, Request
from tests.factories.store import NOW, VAULT, make_product

REQUEST = Request(COMMAND_LINE, "key-1", b"\1" * 32)
ANSWER = Answer(201, "/api/licenses/1", '{"licenseKey": "ABCD-EFGH-JKLM-NPQR-2345"}')


async def test_an_answer_is_given_again(tx: Session) -> None:
    assert await idempotency.find_answer(tx, VAULT, REQUEST, now=NOW) is None

    await idempotency.remember_answer(tx, VAULT, REQUEST, ANSWER, now=NOW)

    assert await idempotency.find_answer(tx, VAULT, REQUEST, now=NOW + timedelta(days=1)) == ANSWER


async def test_an_answer_is_stored_encrypted(tx: Session) -> None:
    await idempotency.remember_answer(tx, VAULT, REQUEST, ANSWER, now=NOW)

    stored = await tx.scalar(select(IdempotencyKey.body_encrypted))
    assert stored is not None
    assert b"ABCD-EFGH" not in stored


async def test_another_request_with_the_same_key_is_refused(tx: Session) -> None:
    await idempotency.remember_answer(tx, VAULT, REQUEST, ANSWER, now=NOW)

    with pytest.raises(IdempotencyKeyReused):
        await idempotency.find_answer(tx, VAULT, replace(REQUEST, fingerprint=b"\2" * 32), now=NOW)


async def test_keys_of_different_callers_never_meet(tx: Session, caller: Principal) -> None:
    await idempotency.remember_answer(tx, VAULT, REQUEST, ANSWER, now=NOW)

    assert await idempotency.find_answer(tx, VAULT, replace(REQUEST, caller=caller), now=NOW) is None
    stranger = replace(caller, id=UUID(int=5))
    assert await idempotency.find_answer(tx, VAULT, replace(REQUEST, caller=stranger), now=NOW) is None


async def test_after_a_day_a_key_may_be_used_anew(tx: Session) -> None:
    await idempotency.remember_answer(tx, VAULT, REQUEST, ANSWER, now=NOW)
    later = NOW + timedelta(days=1, seconds=1)
    another = replace(REQUEST, fingerprint=b"\2" * 32)

    assert await idempotency.find_answer(tx, VAULT, another, now=later) is None
    await idempotency.remember_answer(tx, VAULT, another, ANSWER, now=later)

    assert await idempotency.find_answer(tx, VAULT, another, now=later) == ANSWER


async def test_ten_that_send_the_same_creation_at_once_create_once(database: Database) -> None:
    async def create() -> Answer:
        async with database.transaction() as tx:
            found = await idempotency.find_answer(tx, VAULT, REQUEST, now=NOW)
            if found is not None:
                return found
            await make_product(tx)
            await idempotency.remember_answer(tx, VAULT, REQUEST, ANSWER, now=NOW)
            return ANSWER

    answers = await asyncio.gather(*(create() for _ in range(10)))

    assert answers == [ANSWER] * 10
    async with database.transaction() as tx:
        assert await tx.scalar(select(func.count()).select_from(Product)) == 1
