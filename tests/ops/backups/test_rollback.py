"""Rollbacks that are refused, and rollbacks whose process dies."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import psycopg
import pytest

from app.domain.backups import BackupKeyMissing, BackupTooNew
from app.domain.maintenance import BackupOptions, RestoreOptions, RollbackOptions
from app.ops.audit_chain import find_faults
from app.ops.backups.backup import backup
from app.ops.backups.restore import restore
from app.ops.backups.rollback import rollback
from app.runtime import open_runtime
from app.vault import Vault, make_key
from tests.ops.backups.dying import die_restoring
from tests.ops.backups.test_restore import PRODUCTS, databases, eventually_buried, site
from tests.ops.maintenance.workshop import Workshop, open_workshop

__all__ = ["site"]


async def put_away(site: Workshop) -> str:
    """The address of a database with three products that a restore has put away, for one without any."""
    made = await backup(site.bench, BackupOptions())
    mail = site.bench.vault.encrypt("To: somebody").hex()
    site.sql(
        PRODUCTS.format("late", 3),
        "INSERT INTO outgoing_mails (id, message_encrypted, created_at, expires_at, next_attempt_at, attempts)"
        f" VALUES (gen_random_uuid(), '\\x{mail}', now(), now(), now(), 0)",
    )
    live = site.sql("SELECT current_database()")[0][0]
    done = await restore(site.bench, RestoreOptions(made.result["backup"], force=True), verify_chain=find_faults)
    return site.url.replace(f"/{live}?", f"/{done.result['putAway']}?")


async def test_a_database_whose_keys_are_gone_does_not_come_back(site: Workshop) -> None:
    await put_away(site)
    rotated = replace(site.bench, vault=Vault((make_key(),)))

    with pytest.raises(BackupKeyMissing, match="add that key to ENCRYPTION_KEY"):
        await rollback(rotated, RollbackOptions())

    assert site.sql("SELECT count(*) FROM products") == [(0,)]


async def test_a_database_of_a_newer_release_does_not_come_back(site: Workshop) -> None:
    with psycopg.connect(await put_away(site), autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(BackupTooNew, match="update the server first"):
        await rollback(site.bench, RollbackOptions())

    assert site.sql("SELECT count(*) FROM products") == [(0,)]


@pytest.mark.parametrize(
    ("phase", "delay"),
    [("preparing", 0), ("carrying over", 0.05), ("swapping", 0), ("swapping", 0.05), ("swapping", 0.1)],
)
async def test_a_killed_rollback_leaves_both_whole_and_can_be_done_again(
    site: Workshop, phase: str, delay: float
) -> None:
    await put_away(site)
    live = site.sql("SELECT current_database()")[0][0]
    await site.bench.direct.connection.close()

    await asyncio.to_thread(die_restoring, site.bench.settings, "", phase, delay)

    [(products,)] = site.sql("SELECT count(*) FROM products")
    assert products in ((0,) if phase == "preparing" else (0, 3))
    assert len(databases(site.url, f"{live}_")) == 1
    async with open_runtime(site.bench.settings, site.url) as runtime:
        await eventually_buried(runtime)
    async with open_workshop(site.bench.settings, site.url) as again:
        await rollback(again.bench, RollbackOptions())
    assert site.sql("SELECT count(*) FROM products") == [(3 - products,)]
    assert len(databases(site.url, f"{live}_")) == 1
