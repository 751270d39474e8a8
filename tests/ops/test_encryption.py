"""The encryption key is changed while everything stays readable."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import LargeBinary

from app.db.engine import Database
from app.db.models import InstallationSecret, Model
from app.db.queries.encryption import encrypted_columns
from app.domain.errors import EncryptionKeyMissing
from app.domain.permissions import COMMAND_LINE
from app.ops.encryption import BATCH, Progress, count_values, reencrypt, require_readable
from app.services import licenses
from app.services.licenses import IssueLicense
from app.vault import Vault, make_key
from tests.factories.store import NOW, make_organization

OLD, NEW = make_key(), make_key()


@pytest.fixture
async def database(fresh_database: str) -> AsyncIterator[Database]:
    database = Database(fresh_database, pool_size=2)
    yield database
    await database.close()


async def change(database: Database, vault: Vault, *, may_change: bool = True) -> Progress:
    total = Progress()
    async for step in reencrypt(database, vault, may_change=may_change):
        total += step
    return total


async def store_secrets(database: Database, count: int) -> None:
    async with database.transaction() as tx:
        for number in range(count):
            value = Vault((OLD,)).encrypt(str(number))
            tx.add(InstallationSecret(name=f"secret {number:04}", value_encrypted=value, created_at=NOW))


async def test_what_an_old_key_encrypted_is_read_with_the_new_one_alone_afterwards(database: Database) -> None:
    async with database.transaction() as tx:
        organization = await make_organization(tx)
        wish = IssueLicense(organization.id, "UNLIMITED")
        license, license_key = await licenses.issue(tx, COMMAND_LINE, Vault((OLD,)), wish, now=NOW)
    await store_secrets(database, BATCH + 1)

    first = await change(database, Vault((NEW, OLD)))
    second = await change(database, Vault((NEW, OLD)))

    assert first == Progress(seen=BATCH + 2, outdated=BATCH + 2)
    assert second == Progress(seen=BATCH + 2)
    assert await count_values(database) == BATCH + 2
    async with database.transaction() as tx:
        again = await licenses.get(tx, COMMAND_LINE, license.id)
        assert await licenses.show_license_key(tx, COMMAND_LINE, Vault((NEW,)), again, now=NOW) == license_key


async def test_a_check_changes_nothing(database: Database) -> None:
    await store_secrets(database, 3)

    looked = await change(database, Vault((NEW, OLD)), may_change=False)

    assert looked == Progress(seen=3, outdated=3)
    assert await change(database, Vault((OLD,))) == Progress(seen=3)


async def test_what_no_key_opens_is_left_as_it_is_and_told(database: Database) -> None:
    await store_secrets(database, 2)

    looked = await change(database, Vault((NEW,)))

    assert looked == Progress(seen=2, unreadable=2)
    with pytest.raises(EncryptionKeyMissing, match="2 values"):
        require_readable(looked)
    assert await change(database, Vault((OLD,))) == Progress(seen=2)


def test_every_encrypted_column_is_named_so_and_found() -> None:
    binary = {
        (table.name, column.name)
        for table in Model.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, LargeBinary) and not column.name.endswith("hash")
    }

    assert set(encrypted_columns()) == binary
