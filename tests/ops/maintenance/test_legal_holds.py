"""Legal holds keep evidence from being pruned, and nothing else."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

from app.db.engine import Database
from app.domain.maintenance import PruneOptions
from app.domain.permissions import COMMAND_LINE
from app.domain.runs import RunStatus
from app.ops.maintenance.prune import prune
from app.services import legal_holds
from app.services.legal_holds import PlaceLegalHold
from app.settings import Settings
from tests.conftest import Clock
from tests.factories.store import make_license, make_organization
from tests.ops.maintenance.bench import counts_by_partition, kind, put_people, put_validations, rows, run, workbench


async def hold(url: str, clock: Clock, organization_id: UUID | None = None) -> UUID:
    database = Database(url, pool_size=1)
    async with database.transaction() as tx:
        placed = await legal_holds.place(tx, COMMAND_LINE, PlaceLegalHold("case 7", organization_id), now=clock.now)
    await database.close()
    return placed.id


async def release(url: str, clock: Clock, hold_id: UUID) -> None:
    database = Database(url, pool_size=1)
    async with database.transaction() as tx:
        await legal_holds.release(tx, COMMAND_LINE, hold_id, now=clock.now)
    await database.close()


async def put_license(url: str) -> tuple[UUID, UUID]:
    """The ids of an organization and of its license."""
    database = Database(url, pool_size=1)
    async with database.transaction() as tx:
        organization = await make_organization(tx, name="Held Corp")
        license, _ = await make_license(tx, organization=organization)
    await database.close()
    return organization.id, license.id


async def test_while_the_whole_installation_is_held_no_evidence_goes_and_the_run_says_so(
    settings: Settings, clock: Clock, fresh_database: str
) -> None:
    put_validations(fresh_database, clock.now - timedelta(days=100), 7)
    put_people(fresh_database, clock)
    hold_id = await hold(fresh_database, clock)

    held = await run(settings, clock)

    assert held.status is RunStatus.SUCCEEDED
    for name in ("validation_events", "sessions", "invitations"):
        assert (kind(held, name)["rows"], kind(held, name)["skipped"]) == (
            0,
            ["a legal hold keeps everything of the whole installation"],
        )
    assert kind(held, "idempotency_keys")["rows"] == 1
    await release(fresh_database, clock, hold_id)
    assert kind(await run(settings, clock), "validation_events")["rows"] == 7


async def test_a_hold_on_an_organization_keeps_whole_days_with_its_rows_and_no_other(
    settings: Settings, clock: Clock, fresh_database: str
) -> None:
    organization_id, license_id = await put_license(fresh_database)
    put_people(fresh_database, clock, organization_id)
    put_validations(fresh_database, clock.now - timedelta(days=100), 3)
    put_validations(fresh_database, clock.now - timedelta(days=101), 5)
    put_validations(fresh_database, clock.now - timedelta(days=101), 1, license_id)
    await hold(fresh_database, clock, organization_id)

    outcome = await run(settings, clock)

    found = kind(outcome, "validation_events")
    assert (found["rows"], found["skipped"]) == (
        3,
        ["validation_events_20251120: a legal hold on Held Corp, of which it has rows, keeps it"],
    )
    assert counts_by_partition(fresh_database) == {"validation_events_20251120": 6}
    assert kind(outcome, "sessions")["skipped"] == ["legal holds on organizations keep 1"]
    assert rows(fresh_database, "SELECT count(*) FROM invitations") == [(2,)]
    assert outcome.warnings == ()


async def test_a_hold_that_is_placed_while_a_day_is_archived_keeps_it(
    settings: Settings, clock: Clock, fresh_database: str
) -> None:
    put_validations(fresh_database, clock.now - timedelta(days=100), 3)
    database = Database(fresh_database, pool_size=1)
    async with workbench(settings, clock) as bench:
        async with database.transaction() as placing:
            await legal_holds.place(placing, COMMAND_LINE, PlaceLegalHold("case 7"), now=clock.now)
            pruning = asyncio.create_task(prune(bench, PruneOptions()))
            while not list(settings.archive_dir.glob("*.manifest.json")):
                await asyncio.wait([pruning], timeout=0.02)
        outcome = await pruning
    await database.close()

    assert kind(outcome, "validation_events")["rows"] == 0
    assert counts_by_partition(fresh_database) == {"validation_events_20251121": 3}
    assert list(settings.archive_dir.iterdir()) == []
