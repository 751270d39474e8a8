"""Users: one first operator, whoever else starts at the same moment."""

from __future__ import annotations

import asyncio

from sqlalchemy import func, select

from app.db.engine import Database
from app.db.models import AuditEvent, User
from app.services import users
from tests.factories.store import NOW


async def test_of_ten_that_start_at_once_exactly_one_makes_the_first_operator(database: Database) -> None:
    async def start(number: int) -> bool:
        async with database.transaction() as tx:
            made = await users.create_first_operator(tx, f"Operator-{number}@Acme.example", "hash", now=NOW)
            return made is not None

    made = await asyncio.gather(*(start(number) for number in range(10)))

    assert sorted(made) == [False] * 9 + [True]
    async with database.transaction() as tx:
        assert await tx.scalar(select(func.count()).select_from(User)) == 1
        assert await tx.scalar(select(User.email)) == f"operator-{made.index(True)}@acme.example"
        assert await tx.scalar(select(AuditEvent.event)) == "user.created"
        assert not await users.needs_first_operator(tx)
