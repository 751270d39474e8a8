"""Users: one first operator, whoever else starts at the same moment."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import func, select

from app.db.engine import Database
from app.db.models import AuditEvent, User
from app.domain.errors import InvalidToken, LastOperator
from app.domain.permissions import COMMAND_LINE, Role
from app.services import passwords, users
from app.services.users import CreateUser
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
        [event] = (await tx.scalars(select(AuditEvent))).all()
        email = f"operator-{made.index(True)}@acme.example"
        assert (event.event, event.data) == ("user.created", {"after": {"email": email, "role": "OPERATOR"}})
        assert not await users.needs_first_operator(tx)


async def test_a_disabled_operator_does_not_open_the_way_to_a_new_first_one(database: Database) -> None:
    async with database.transaction() as tx:
        first = await users.create_first_operator(tx, "op@acme.example", "hash", now=NOW)
        assert first is not None
        first.disabled_at = NOW

    async with database.transaction() as tx:
        assert not await users.needs_first_operator(tx)
        assert await users.create_first_operator(tx, "other@acme.example", "hash", now=NOW) is None


async def test_a_password_given_on_the_command_line_ends_every_token_that_was_mailed(database: Database) -> None:
    async with database.transaction() as tx:
        wish = CreateUser("op@acme.example", "Op", Role.OPERATOR)
        _, token = await users.create(tx, COMMAND_LINE, wish, None, now=NOW)
        assert token is not None

        await users.reset_password(tx, "op@acme.example", "hash", now=NOW)

        with pytest.raises(InvalidToken):
            await passwords.find_reset(tx, token, now=NOW)


async def test_of_two_operators_that_disable_each_other_at_once_one_stays(database: Database) -> None:
    async with database.transaction() as tx:
        made = [
            User(email=f"op-{number}@acme.example", name="Op", role=Role.OPERATOR, password_hash="hash")
            for number in range(2)
        ]
        tx.add_all(made)

    async def disable(user: User, by: User) -> bool:
        caller = COMMAND_LINE.of_user(by.id, None)
        try:
            async with database.transaction() as tx:
                await users.change(tx, caller, user.id, {"is_disabled": True}, now=NOW)
        except LastOperator:
            return False
        return True

    done = await asyncio.gather(disable(made[0], made[1]), disable(made[1], made[0]))

    assert sorted(done) == [False, True]
