"""The oldest part of the audit trail goes into an archive, and the chain still tells of everything else."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import errors

from app.db import events
from app.db.engine import Database
from app.db.workbench import Workbench
from app.domain.audit_chain import Head, Verification, link_hash
from app.domain.events import EventName
from app.domain.permissions import COMMAND_LINE
from app.domain.retention import Pruned, list_rules
from app.ops import audit_chain
from app.ops.maintenance.audit_events import prune_audit_events
from app.settings import Settings
from tests.conftest import Clock
from tests.factories.store import VAULT
from tests.ops.maintenance.bench import rows, workbench
from tests.ops.test_audit_chain import tamper

RULE = list_rules(90, 730)[1]
COUNTS = """
    SELECT (SELECT count(*) FROM audit_events), (SELECT count(*) FROM audit_links), (SELECT count(*) FROM archives)"""


@pytest.fixture
async def bench(settings: Settings, clock: Clock) -> AsyncIterator[Workbench]:
    async with workbench(settings, clock) as opened:
        yield opened


async def record(
    bench: Workbench, count: int, *, days_ago: int, organization_id: UUID | None = None, is_sealed: bool = True
) -> None:
    now = bench.now() - timedelta(days=days_ago)
    async with bench.database.transaction() as tx:
        for number in range(count):
            data = {"after": {"name": f'Müller "& Söhne\\" {number}\n'}}
            await events.record(
                tx,
                COMMAND_LINE,
                EventName.LICENSE_CHANGED,
                f"license {number}",
                organization_id=organization_id,
                now=now,
                data=data,
            )
    if is_sealed:
        await audit_chain.seal(bench.database, VAULT, now=now)


async def prune(bench: Workbench, *, is_dry: bool = False, piece_rows: int = 20_000) -> Pruned:
    return await prune_audit_events(bench, RULE, is_dry=is_dry, tell=lambda share, name: None, piece_rows=piece_rows)


async def verify(database: Database, head: Head | None = None, *, days: float = 1) -> Verification:
    verification = await audit_chain.begin_verification(database, VAULT, head)
    async for _ in audit_chain.verify(database, verification, now=Clock().now + timedelta(days=days)):
        """Each step is judged as it comes."""
    return verification


async def kinds(bench: Workbench, head: Head | None = None) -> list[tuple[str, int | None]]:
    return [(finding.kind, finding.position) for finding in (await verify(bench.database, head)).findings]


def read_archive(bench: Workbench, name: str) -> list[dict[str, Any]]:
    with gzip.open(bench.settings.archive_dir / name, "rt") as file:
        return [json.loads(line) for line in file]


async def test_the_oldest_events_are_archived_and_the_chain_goes_on_behind_them(
    bench: Workbench, fresh_database: str
) -> None:
    await record(bench, 5, days_ago=800)
    await record(bench, 3, days_ago=10)
    head = await audit_chain.read_head(bench.database)
    stored = rows(fresh_database, "SELECT row_to_json(audit_events)::text FROM audit_events ORDER BY id LIMIT 5")

    pruned = await prune(bench)

    assert (pruned.rows, pruned.skipped, rows(fresh_database, COUNTS)) == (5, [], [(3, 3, 1)])
    lines = read_archive(bench, pruned.archives[0])
    assert [line["position"] for line in lines] == [1, 2, 3, 4, 5]
    assert [line["event"] for line in lines] == [json.loads(text) for (text,) in stored]
    verification = await verify(bench.database, head)
    assert (verification.is_intact, verification.head, verification.remark) == (True, head, None)
    previous, key = bytes(32), verification.key
    for line in lines:
        previous = link_hash(key, previous, line["sealed"])
        assert previous.hex() == line["hash"]

    await record(bench, 2, days_ago=0)
    assert (await verify(bench.database, head)).head.position == 10


async def test_an_event_of_a_clock_that_was_ahead_keeps_the_trail_and_is_told(bench: Workbench) -> None:
    await record(bench, 2, days_ago=800)
    await record(bench, 1, days_ago=-2)
    await record(bench, 2, days_ago=790)

    pruned = await prune(bench)
    again = await prune(bench)

    sentence = "the event at position 3 is of 2026-03-03 12:00Z, which is to come; all from there on stays"
    assert (pruned.rows, pruned.skipped, pruned.warnings) == (2, [sentence], [f"audit_events: {sentence}"])
    assert (again.rows, again.skipped) == (0, [sentence])


async def test_a_dry_run_counts_what_would_go_and_removes_nothing(bench: Workbench, fresh_database: str) -> None:
    await record(bench, 5, days_ago=800)
    before = rows(fresh_database, COUNTS)

    dry = await prune(bench, is_dry=True, piece_rows=2)

    assert (dry.rows, dry.archives, rows(fresh_database, COUNTS)) == (5, [], before)
    real = await prune(bench, piece_rows=2)
    assert (real.rows, real.bytes, len(real.archives)) == (dry.rows, dry.bytes, 3)


async def test_a_chain_of_which_all_was_archived_goes_on_from_its_base(bench: Workbench, fresh_database: str) -> None:
    await record(bench, 4, days_ago=800)
    head = await audit_chain.read_head(bench.database)
    await prune(bench)

    assert await audit_chain.read_head(bench.database) == head
    assert (await verify(bench.database, head)).is_intact
    await record(bench, 2, days_ago=0)

    assert rows(fresh_database, "SELECT min(position), max(position) FROM audit_links") == [(5, 6)]
    assert (await verify(bench.database, head)).is_intact


async def test_events_that_are_not_sealed_never_go(bench: Workbench, fresh_database: str) -> None:
    await record(bench, 2, days_ago=800)
    await record(bench, 3, days_ago=800, is_sealed=False)

    assert (await prune(bench)).rows == 2

    assert rows(fresh_database, "SELECT count(*) FROM audit_unsealed JOIN audit_events ON id = event_id") == [(3,)]


async def test_without_any_seal_nothing_goes(bench: Workbench, fresh_database: str) -> None:
    await record(bench, 3, days_ago=800, is_sealed=False)

    pruned = await prune(bench)

    assert (pruned.rows, pruned.skipped, rows(fresh_database, COUNTS)) == (0, [], [(3, 0, 0)])


async def test_a_head_inside_of_the_archived_part_is_told_about_and_no_finding(bench: Workbench) -> None:
    await record(bench, 3, days_ago=800)
    inside = await audit_chain.read_head(bench.database)
    await record(bench, 3, days_ago=790)
    at_the_base = await audit_chain.read_head(bench.database)
    await record(bench, 3, days_ago=0)
    await prune(bench)

    found = await verify(bench.database, inside)

    assert found.is_intact
    assert found.remark is not None
    assert found.remark.startswith("Position 3 is archived, with all up to 6")
    assert await kinds(bench, at_the_base) == []
    assert await kinds(bench, Head(6, bytes(32))) == [("rewritten", 6)]


FORGE = """
    INSERT INTO audit_bases SELECT position, hash, gen_random_uuid(), repeat('0', 64), sha256('guess'), now()
    FROM audit_links WHERE position = 6"""


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        (["DELETE FROM audit_links WHERE position = 4"], [("gap", 5), ("never_sealed", None)]),
        (["DELETE FROM audit_bases"], [("gap", 4)]),
        (["UPDATE audit_bases SET hash = sha256('x')"], [("forged_base", 3), ("changed", 4)]),
        (["UPDATE audit_bases SET archive_sha256 = repeat('0', 64)"], [("forged_base", 3)]),
        (
            [
                FORGE,
                "DELETE FROM audit_events WHERE id IN (SELECT event_id FROM audit_links WHERE position <= 6)",
                "DELETE FROM audit_links WHERE position <= 6",
            ],
            [("forged_base", 6)],
        ),
        (
            ["INSERT INTO audit_links SELECT 2, gen_random_uuid(), sha256('x'), now()"],
            [("put_in", 2)],
        ),
    ],
)
async def test_any_other_removal_and_any_other_base_is_found(
    bench: Workbench, fresh_database: str, statements: list[str], expected: list[tuple[str, int]]
) -> None:
    await record(bench, 3, days_ago=800)
    await record(bench, 5, days_ago=0)
    await prune(bench)
    with psycopg.connect(fresh_database, autocommit=True) as superuser:
        superuser.execute("ALTER TABLE audit_bases DISABLE TRIGGER ALL")

    tamper(fresh_database, *statements)

    assert await kinds(bench) == expected


async def test_what_was_tampered_with_is_never_archived_away(bench: Workbench, fresh_database: str) -> None:
    await record(bench, 5, days_ago=800)
    third = "SELECT event_id FROM audit_links WHERE position = 3"
    tamper(fresh_database, f"UPDATE audit_events SET event = 'x' WHERE id = ({third})")

    pruned = await prune(bench)

    assert (pruned.rows, pruned.warnings) == (
        2,
        ["audit_events: the trail is not intact at position 3: see `license-server audit verify`"],
    )
    assert await kinds(bench) == [("changed", 3)]


async def test_behind_a_forged_base_nothing_goes(bench: Workbench, fresh_database: str) -> None:
    await record(bench, 8, days_ago=800)
    tamper(fresh_database, FORGE)

    pruned = await prune(bench)

    assert pruned.rows == 0
    assert "the base of the chain at position 6 is forged" in pruned.warnings[0]


async def test_a_hold_on_an_organization_keeps_the_trail_from_its_first_event_on(
    bench: Workbench, fresh_database: str
) -> None:
    organization_id = uuid4()
    with psycopg.connect(fresh_database) as connection:
        connection.execute(
            "INSERT INTO organizations (id, name, domain, email) VALUES (%s, 'Held', 'h.example', 'it@h.example')",
            [organization_id],
        )
        connection.execute(
            "INSERT INTO legal_holds (id, organization_id, reason, placed_at, placed_by_kind)"
            " VALUES (gen_random_uuid(), %s, 'case 7', now(), 'user')",
            [organization_id],
        )
    await record(bench, 3, days_ago=800)
    await record(bench, 1, days_ago=790, organization_id=organization_id)
    await record(bench, 2, days_ago=780)

    pruned = await prune(bench)

    assert (pruned.rows, pruned.skipped, pruned.warnings) == (
        3,
        ["a legal hold on an organization keeps all from position 4 on"],
        [],
    )
    assert rows(fresh_database, COUNTS) == [(3, 3, 1)]


async def test_nobody_else_can_remove_anything_before_during_and_after_it(
    bench: Workbench, fresh_database: str
) -> None:
    await record(bench, 3, days_ago=800)
    await record(bench, 3, days_ago=0)
    await prune(bench)

    statements = (
        "DELETE FROM audit_events",
        "DELETE FROM audit_links WHERE position = 4",
        "DELETE FROM audit_links WHERE false",
        "DELETE FROM audit_bases",
        "UPDATE audit_bases SET position = 99",
        "TRUNCATE audit_bases",
    )
    for statement in statements:
        with psycopg.connect(fresh_database) as superuser, pytest.raises(errors.InsufficientPrivilege):
            superuser.execute(statement.encode())
    acl = "SELECT bool_or(relacl::text ~ '=[a-zA-Z]*d') FROM pg_class WHERE relname IN ('audit_events', 'audit_links')"
    assert rows(fresh_database, acl) == [(False,)]


async def test_a_verification_that_is_overtaken_by_pruning_starts_anew(bench: Workbench) -> None:
    await record(bench, 1200, days_ago=800)
    verification = await audit_chain.begin_verification(bench.database, VAULT, None)

    steps = audit_chain.verify(bench.database, verification, now=Clock().now)
    await anext(steps)
    await prune(bench)
    async for _ in steps:
        """It goes on in what is gone by now."""

    assert (verification.is_intact, verification.head.position) == (True, 1200)
