"""Partitions, pruning and the base of the audit chain on every PostgreSQL at hand, as an owner who is no superuser."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from app.db import events
from app.db.migrations import migrate
from app.db.queries import validation_partitions as partitions
from app.domain.events import EventName
from app.domain.maintenance import PruneOptions
from app.domain.permissions import COMMAND_LINE
from app.domain.runs import Outcome
from app.ops import audit_chain
from app.ops.maintenance.prune import prune
from tests.acceptance.test_postgres_versions import installed_servers, make_owned_database, running
from tests.conftest import Clock, make_settings
from tests.factories.store import VAULT
from tests.ops.maintenance.bench import counts_by_partition, put_validations, rows, workbench

pytestmark = pytest.mark.acceptance


@pytest.mark.parametrize("bin_dir", installed_servers(), ids=str)
def test_old_days_and_old_audit_events_go_and_the_chain_stays_intact(bin_dir: Path, tmp_path: Path) -> None:
    with running(bin_dir) as port:
        url = make_owned_database(port)
        migrate(url)
        clock = Clock()
        for days in (1, 100, 101):
            put_validations(url, clock.now - timedelta(days=days), 3)

        outcome, is_intact = asyncio.run(_prune(url, tmp_path, clock))

        kinds = {kind["name"]: kind["rows"] for kind in outcome.result["kinds"]}
        assert (outcome.warnings, is_intact) == ((), True)
        assert (kinds["validation_events"], kinds["audit_events"]) == (6, 4)
        assert counts_by_partition(url) == {"validation_events_20260228": 3}
        assert rows(url, "SELECT count(*), min(position) FROM audit_links") == [(2, 5)]
        acl = "SELECT bool_or(relacl::text ~ '=[a-zA-Z]*d') FROM pg_class WHERE relname ~ '^audit_(events|links)$'"
        assert rows(url, acl) == [(False,)]


async def _prune(url: str, folder: Path, clock: Clock) -> tuple[Outcome, bool]:
    async with workbench(make_settings(url, folder), clock) as bench:
        for days, count in ((800, 4), (1, 2)):
            now = clock.now - timedelta(days=days)
            async with bench.database.transaction() as tx:
                for number in range(count):
                    await events.record(tx, COMMAND_LINE, EventName.LICENSE_CHANGED, f"{number}", now=now)
            await audit_chain.seal(bench.database, VAULT, now=now)
        guarded = (clock.now - timedelta(days=100)).date()
        await partitions.make_partition(bench.direct, guarded, is_guarded=True)
        outcome = await prune(bench, PruneOptions())
        verification = await audit_chain.begin_verification(bench.database, VAULT, None)
        async for _ in audit_chain.verify(bench.database, verification, now=clock.now):
            """Each step is judged as it comes."""
        return outcome, verification.is_intact
