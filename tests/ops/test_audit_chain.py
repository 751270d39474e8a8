"""The audit trail is sealed without a gap, and whatever somebody with all rights changes in it is found."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import psycopg
import pytest

from app.db import events
from app.db.engine import Database
from app.db.queries import audit_chain as chain_queries
from app.domain.audit_chain import AuditKeyMissing, Head, Verification
from app.domain.errors import EncryptionKeyMissing
from app.domain.events import EventName
from app.domain.permissions import COMMAND_LINE
from app.ops import audit_chain
from app.ops.audit_chain import SEALED_AT_ONCE
from app.vault import Vault, make_key
from tests.factories.store import NOW, VAULT

DATA = {"after": {"maxUsers": 5, "ratio": 1.10, "name": 'Müller "& Söhne"', "none": None, "deep": [{"b": 1, "a": []}]}}


@pytest.fixture
async def database(fresh_database: str) -> AsyncIterator[Database]:
    database = Database(fresh_database, pool_size=25)
    yield database
    await database.close()


async def record(database: Database, count: int = 1) -> None:
    async with database.transaction() as tx:
        for number in range(count):
            await events.record(tx, COMMAND_LINE, EventName.LICENSE_CHANGED, f"license {number}", now=NOW, data=DATA)


async def seal(database: Database) -> int:
    return await audit_chain.seal(database, VAULT, now=NOW)


async def verify(
    database: Database, vault: Vault = VAULT, *, head: Head | None = None, minutes: float = 2
) -> Verification:
    verification = await audit_chain.begin_verification(database, vault, head)
    async for _ in audit_chain.verify(database, verification, now=NOW + timedelta(minutes=minutes)):
        """Each step is judged as it comes."""
    return verification


def kinds(verification: Verification) -> list[tuple[str, int | None]]:
    return [(finding.kind, finding.position) for finding in verification.findings]


def tamper(url: str, *statements: str) -> None:
    """Change the trail as a superuser who has switched its guards off."""
    with psycopg.connect(url) as connection:
        for table in ("audit_events", "audit_links"):
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL".encode())
        for statement in statements:
            connection.execute(statement.encode())
        for table in ("audit_events", "audit_links"):
            connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER ALL".encode())


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


async def test_an_untouched_trail_is_intact_and_sealed_in_order(database: Database, fresh_database: str) -> None:
    assert (await verify(database)).is_intact

    await record(database, SEALED_AT_ONCE + 3)
    assert await seal(database) == SEALED_AT_ONCE + 3
    assert await seal(database) == 0

    found = await verify(database)
    assert (found.is_intact, found.head.position) == (True, SEALED_AT_ONCE + 3)
    assert found.head == await audit_chain.read_head(database)
    query = "SELECT bool_and(position = rank) FROM (SELECT position, rank() OVER (ORDER BY event_id) FROM audit_links)"
    assert rows(fresh_database, f"{query} AS ranked") == [(True,)]
    assert rows(fresh_database, "SELECT count(*) FROM audit_unsealed") == [(0,)]


OF_SECOND = "(SELECT event_id FROM audit_links WHERE position = 2)"
PUT_IN = """
    INSERT INTO audit_events (id, occurred_at, event, subject_id, actor_kind, data)
    VALUES (gen_random_uuid(), now(), 'license.issued', 'x', 'user', '{}')"""
SWAP = """
    UPDATE audit_links SET event_id = CASE position WHEN 2 THEN {third}::uuid ELSE {second}::uuid END
    WHERE position IN (2, 3)"""


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("occurred_at", "occurred_at + interval '1 microsecond'"),
        ("occurred_at", "'infinity'"),
        ("event", "'license.revoked'"),
        ("subject_id", "'license 7'"),
        ("organization_id", "gen_random_uuid()"),
        ("actor_kind", "'user'"),
        ("actor_id", "gen_random_uuid()"),
        ("ip", "'192.0.2.99'"),
        ("request_id", "'null'"),
        ("data", "data || '{\"more\": 1}'"),
        ("data", "jsonb_set(data, '{after,ratio}', '1.10000000000000000001')"),
    ],
)
async def test_a_change_of_any_column_is_found(
    database: Database, fresh_database: str, column: str, value: str
) -> None:
    await record(database, 4)
    await seal(database)

    tamper(fresh_database, f"UPDATE audit_events SET {column} = {value} WHERE id = {OF_SECOND}")

    found = await verify(database)
    assert kinds(found) == [("changed", 2)]
    [(event_id,)] = rows(fresh_database, OF_SECOND.strip("()"))
    assert found.findings[0].event_id == event_id


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (f"DELETE FROM audit_events WHERE id = {OF_SECOND}", [("missing", 2)]),
        ("UPDATE audit_links SET sealed_at = sealed_at + interval '1 hour' WHERE position = 2", [("changed", 2)]),
        ("UPDATE audit_links SET hash = sha256('x') WHERE position = 2", [("changed", 2), ("changed", 3)]),
        ("DELETE FROM audit_links WHERE position = 2", [("gap", 3), ("never_sealed", None)]),
        ("DELETE FROM audit_links WHERE position = 4", [("never_sealed", None)]),
        ("INSERT INTO audit_links VALUES (5, gen_random_uuid(), sha256('x'), now())", [("missing", 5)]),
        (PUT_IN, [("never_sealed", None)]),
        ("UPDATE audit_links SET position = position + 5 WHERE position > 2", [("gap", 8)]),
    ],
)
async def test_a_row_that_was_removed_or_put_in_is_found(
    database: Database, fresh_database: str, statement: str, expected: list[tuple[str, int | None]]
) -> None:
    await record(database, 4)
    await seal(database)

    tamper(fresh_database, statement)

    assert kinds(await verify(database)) == expected


async def test_two_events_that_changed_places_are_found(database: Database, fresh_database: str) -> None:
    await record(database, 4)
    await seal(database)
    [(second,), (third,)] = rows(fresh_database, "SELECT event_id FROM audit_links WHERE position IN (2, 3) ORDER BY 1")

    tamper(
        fresh_database,
        "ALTER TABLE audit_links DROP CONSTRAINT uq_audit_links_event_id",
        SWAP.format(second=f"'{second}'", third=f"'{third}'"),
    )

    assert kinds(await verify(database)) == [("changed", 2), ("changed", 3)]


async def test_a_tail_that_was_cut_off_is_found_by_the_head_that_was_printed(
    database: Database, fresh_database: str
) -> None:
    await record(database, 4)
    await seal(database)
    head = await audit_chain.read_head(database)

    tamper(
        fresh_database,
        "DELETE FROM audit_events WHERE id IN (SELECT event_id FROM audit_links WHERE position > 2)",
        "DELETE FROM audit_links WHERE position > 2",
    )
    assert (await verify(database)).is_intact
    assert kinds(await verify(database, head=head)) == [("cut_off", 2)]

    await record(database, 3)
    await seal(database)
    assert (await verify(database)).is_intact
    assert kinds(await verify(database, head=head)) == [("rewritten", 4)]


async def test_an_event_that_vanishes_before_it_is_sealed_stays_on_record(
    database: Database, fresh_database: str
) -> None:
    await record(database, 3)
    tamper(fresh_database, "DELETE FROM audit_events WHERE subject_id = 'license 1'")

    await seal(database)

    assert kinds(await verify(database)) == [("missing", 2)]


async def test_an_event_that_is_kept_from_being_sealed_is_found(database: Database, fresh_database: str) -> None:
    await record(database, 2)
    first = "SELECT event_id FROM audit_unsealed ORDER BY event_id LIMIT 1"
    tamper(fresh_database, f"DELETE FROM audit_unsealed WHERE event_id = ({first})")

    assert kinds(await verify(database, minutes=0.5)) == [("never_sealed", None)]
    assert kinds(await verify(database, minutes=1.5)) == [("never_sealed", None), ("waiting", None)]


async def test_an_event_that_waits_although_it_is_sealed_is_not_sealed_twice(
    database: Database, fresh_database: str
) -> None:
    await record(database, 2)
    await seal(database)
    tamper(fresh_database, "INSERT INTO audit_unsealed SELECT event_id FROM audit_links")

    await seal(database)

    assert rows(fresh_database, "SELECT count(*) FROM audit_links") == [(2,)]
    assert rows(fresh_database, "SELECT count(*) FROM audit_unsealed") == [(0,)]
    assert (await verify(database)).is_intact


async def test_twenty_writers_and_three_sealers_leave_every_event_sealed_exactly_once(
    database: Database, fresh_database: str
) -> None:
    async def write() -> None:
        for _ in range(15):
            await record(database, 2)

    async def keep_sealing() -> None:
        while not is_written.is_set():
            await seal(database)

    is_written = asyncio.Event()
    sealers = [asyncio.create_task(keep_sealing()) for _ in range(3)]
    await asyncio.gather(*(write() for _ in range(20)))
    is_written.set()
    await asyncio.gather(*sealers)
    await seal(database)

    assert rows(fresh_database, "SELECT count(*), count(DISTINCT event_id), max(position) FROM audit_links") == [
        (600, 600, 600)
    ]
    assert (await verify(database)).is_intact


async def test_while_one_seals_another_leaves_it_to_it(database: Database) -> None:
    await record(database)

    async with database.transaction() as tx:
        await chain_queries.try_lock_chain(tx)
        assert await seal(database) == 0

    assert await seal(database) == 1


async def test_an_event_that_is_committed_late_is_sealed_behind_younger_ones(database: Database) -> None:
    async with database.transaction() as late:
        old = await events.record(late, COMMAND_LINE, EventName.LICENSE_CHANGED, "old", now=NOW)
        await record(database, 3)
        assert await seal(database) == 3
        assert kinds(await verify(database)) == []

    assert await seal(database) == 1

    assert (await verify(database)).is_intact
    async with database.transaction() as tx:
        last = (await chain_queries.list_links(tx, after=3, last=4, limit=9))[0]
    assert last.event_id == old.id


async def test_what_is_rolled_back_leaves_no_gap(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.transaction() as tx:
            await events.record(tx, COMMAND_LINE, EventName.LICENSE_CHANGED, "x", now=NOW)
            raise ZeroDivisionError
    await record(database)

    assert await seal(database) == 1
    assert (await verify(database)).is_intact


async def test_the_chain_outlives_a_change_of_the_encryption_key(database: Database) -> None:
    old, new = make_key(), make_key()
    await record(database)
    await audit_chain.seal(database, Vault((old,)), now=NOW)

    await record(database)
    await audit_chain.seal(database, Vault((new, old)), now=NOW)

    assert (await verify(database, Vault((new, old)))).is_intact
    with pytest.raises(EncryptionKeyMissing):
        await verify(database, Vault((new,)))


async def test_without_the_encryption_key_events_are_recorded_and_wait(database: Database, fresh_database: str) -> None:
    await record(database)
    await seal(database)
    await record(database)

    with pytest.raises(EncryptionKeyMissing):
        await audit_chain.seal(database, Vault((make_key(),)), now=NOW)

    assert rows(fresh_database, "SELECT count(*) FROM audit_unsealed") == [(1,)]
    assert await seal(database) == 1


async def test_a_chain_never_goes_on_with_a_key_that_did_not_begin_it(database: Database, fresh_database: str) -> None:
    await record(database)
    await seal(database)
    tamper(fresh_database, "DELETE FROM installation_secrets")
    await record(database)

    with pytest.raises(AuditKeyMissing):
        await seal(database)
    with pytest.raises(AuditKeyMissing):
        await verify(database)


async def test_the_key_never_stands_in_the_database_as_it_is(database: Database, fresh_database: str) -> None:
    await record(database)
    await seal(database)

    [(encrypted,)] = rows(fresh_database, "SELECT value_encrypted FROM installation_secrets WHERE name = 'audit_chain'")

    assert isinstance(encrypted, bytes)
    assert len(bytes.fromhex(VAULT.decrypt(encrypted))) == 32


async def test_the_settings_of_a_session_do_not_change_what_is_verified(
    database: Database, fresh_database: str
) -> None:
    await record(database, 3)
    await seal(database)
    [(name,)] = rows(fresh_database, "SELECT current_database()")
    settings = ("DateStyle = 'ISO, DMY'", "IntervalStyle = 'sql_standard'", "extra_float_digits = 0")
    tamper(fresh_database, *(f"ALTER DATABASE {name} SET {setting}" for setting in settings))

    other = Database(fresh_database, pool_size=1)
    try:
        assert (await verify(other)).is_intact
    finally:
        await other.close()


async def test_a_verification_that_began_before_the_first_sealing_finds_nothing_wrong(database: Database) -> None:
    await record(database, 3)
    verification = await audit_chain.begin_verification(database, VAULT, None)
    await seal(database)

    async for _ in audit_chain.verify(database, verification, now=NOW + timedelta(minutes=2)):
        """Each step is judged as it comes."""

    assert (verification.is_intact, verification.head) == (True, Head())
    assert (await verify(database)).head.position == 3
