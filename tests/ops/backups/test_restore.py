"""Restores of real databases: beside the live one, and then in its place."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from app.db.queries import runs
from app.domain.backups import BackupKeyMissing, BackupRefused, BackupTooNew, read_manifest
from app.domain.errors import DomainError
from app.domain.maintenance import BackupOptions, RestoreOptions, RollbackOptions
from app.domain.permissions import COMMAND_LINE
from app.domain.restores import BackupUnproven, PutAwayNotFound, RestoreUnderWay
from app.domain.runs import RunKind, RunStatus, RunTrigger
from app.ops.audit_chain import find_faults
from app.ops.backups.backup import backup
from app.ops.backups.pipes import DamagedFile
from app.ops.backups.putaway import discard, list_put_away
from app.ops.backups.restore import restore
from app.ops.backups.rollback import rollback
from app.ops.backups.scratch import NoRoom
from app.ops.backups.stores import LocalStore
from app.ops.backups.swap import control_session
from app.runner import bury_lost, do_at_once
from app.runtime import Runtime, open_runtime
from app.services.runs import RequestRun
from app.settings import Settings
from app.vault import Vault, make_key
from tests.ops.backups.dying import die_restoring
from tests.ops.maintenance.workshop import Workshop, open_workshop

PRODUCTS = "INSERT INTO products (id, name) SELECT '{0}' || n, '{0}' || n FROM generate_series(1, {1}) n"


def databases(url: str, like: str) -> list[str]:
    """The names of the cluster's databases that begin so."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s) ORDER BY 1", [like])
        return [name for (name,) in found]


@pytest.fixture
async def site(settings: Settings, fresh_database: str, tmp_path: Path) -> AsyncIterator[Workshop]:
    """A workbench on a live database; what its restores put away is dropped afterwards."""
    own = settings.model_copy(update={"backup_dir": tmp_path / "backups"})
    live = fresh_database.partition("?")[0].rpartition("/")[2]
    async with open_workshop(own, fresh_database) as opened:
        yield opened
    with psycopg.connect(fresh_database.replace(f"/{live}?", "/postgres?"), autocommit=True) as connection:
        for name in databases(fresh_database.replace(f"/{live}?", "/postgres?"), f"{live}_"):
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


async def test_a_backup_takes_the_place_of_the_live_database_which_is_kept(site: Workshop) -> None:
    site.sql(PRODUCTS.format("p", 9))
    made = await backup(site.bench, BackupOptions())
    site.sql(PRODUCTS.format("late", 3), "DELETE FROM products WHERE id = 'p1'")
    live = site.sql("SELECT current_database()")[0][0]

    outcome = await restore(site.bench, RestoreOptions(made.result["backup"], force=True), verify_chain=find_faults)

    assert site.sql("SELECT count(*), count(*) FILTER (WHERE id = 'p1') FROM products") == [(9, 1)]
    assert all(check["ok"] for check in outcome.result["checks"])
    away = outcome.result["putAway"]
    with psycopg.connect(site.url.replace(f"/{live}?", f"/{away}?")) as connection:
        assert connection.execute("SELECT count(*) FROM products").fetchone() == (11,)
    assert databases(site.url, f"{live}_") == [away]
    assert site.bench.direct.is_open
    assert (await site.bench.direct.execute(sql.SQL("SELECT current_database()"))) == [(live,)]
    [kept] = await list_put_away(site.bench.direct_url)
    assert (kept.name, str(kept.story.backup)) == (away, made.result["backup"])


async def test_a_rollback_brings_back_what_was_put_away_and_can_be_taken_back_itself(site: Workshop) -> None:
    made = await backup(site.bench, BackupOptions())
    site.sql(PRODUCTS.format("late", 3))
    first = await restore(site.bench, RestoreOptions(made.result["backup"], force=True), verify_chain=find_faults)
    assert site.sql("SELECT count(*) FROM products") == [(0,)]

    back = await rollback(site.bench, RollbackOptions())

    assert back.result["database"] == first.result["putAway"]
    assert site.sql("SELECT count(*) FROM products") == [(3,)]
    assert "_undone_" in back.result["putAway"]
    await rollback(site.bench, RollbackOptions(back.result["putAway"]))
    assert site.sql("SELECT count(*) FROM products") == [(0,)]
    assert site.sql("SELECT array_agg(event ORDER BY id) FROM audit_events WHERE event LIKE 'database.%'") == [
        (["database.restored", "database.rolled_back"],)
    ]


async def test_what_was_put_away_can_be_dropped_and_nothing_else(site: Workshop) -> None:
    made = await backup(site.bench, BackupOptions())
    outcome = await restore(site.bench, RestoreOptions(made.result["backup"], force=True), verify_chain=find_faults)
    live = site.sql("SELECT current_database()")[0][0]

    for name in (live, "postgres", "nothing"):
        with pytest.raises(PutAwayNotFound):
            await discard(site.bench.direct_url, name)
    await discard(site.bench.direct_url, outcome.result["putAway"])

    assert databases(site.url, f"{live}_") == []


async def test_what_was_closed_since_the_backup_stays_closed_and_nothing_is_sent_or_done_twice(site: Workshop) -> None:
    mail = site.bench.vault.encrypt("To: somebody").hex()
    site.sql(
        "INSERT INTO users (id, email, name, role, created_at, updated_at)"
        " SELECT gen_random_uuid(), n || '@example.com', 'n', 'OPERATOR', now(), now() FROM generate_series(1, 2) n",
        "INSERT INTO api_keys (id, name, prefix, secret_hash, scopes, created_at, updated_at)"
        " SELECT gen_random_uuid(), 'k' || n, 'p', n::text::bytea, '{}', now(), now() FROM generate_series(1, 2) n",
        "INSERT INTO sessions (id, user_id, token_hash, created_at, expires_at)"
        " SELECT gen_random_uuid(), id, email::bytea, now(), now() FROM users",
        "INSERT INTO outgoing_mails (id, message_encrypted, created_at, expires_at, next_attempt_at, attempts)"
        f" VALUES (gen_random_uuid(), '\\x{mail}', now(), now(), now(), 0)",
        "UPDATE schedules SET next_run_at = '2020-01-01', planned_at = '2020-01-01'",
    )
    made = await backup(site.bench, BackupOptions())
    site.sql(
        "UPDATE users SET disabled_at = now() WHERE email LIKE '1%'",
        "UPDATE api_keys SET revoked_at = now() WHERE name = 'k1'",
        "DELETE FROM api_keys WHERE name = 'k2'",
    )

    outcome = await restore(site.bench, RestoreOptions(made.result["backup"], force=True), verify_chain=find_faults)

    assert site.sql("SELECT email FROM users WHERE disabled_at IS NOT NULL") == [("1@example.com",)]
    assert site.sql("SELECT name FROM api_keys WHERE revoked_at IS NOT NULL") == [("k1",)]
    assert outcome.warnings == (
        "1 API keys revoked since, and 1 people disabled since, stay so.",
        "1 API keys and 0 people who were deleted since are back: look through them.",
    )
    for table in ("sessions", "outgoing_mails", "idempotency_keys", "password_resets"):
        assert site.sql(f"SELECT count(*) FROM {table}") == [(0,)]
    assert site.sql("SELECT count(*) FROM schedules WHERE next_run_at IS NOT NULL") == [(0,)]
    assert site.sql("SELECT status, failure FROM backups") == [("stored", None)]


async def test_the_run_ends_in_the_restored_database_and_the_catalog_goes_on(site: Workshop) -> None:
    made = await backup(site.bench, BackupOptions())
    later = await backup(site.bench, BackupOptions(note="later"))
    async with open_runtime(site.bench.settings, site.url) as runtime:
        wish = RequestRun(RunKind.RESTORE, RestoreOptions(made.result["backup"], force=True), RunTrigger.COMMAND)

        run = await do_at_once(runtime, COMMAND_LINE, wish, lambda progress: None)

        assert run.status == RunStatus.SUCCEEDED, run.failure
    assert site.sql("SELECT status, progress->>'percent' FROM runs") == [("succeeded", "100.0")]
    assert {str(one) for (one,) in site.sql("SELECT id FROM backups")} == {
        made.result["backup"],
        later.result["backup"],
    }


async def test_only_one_restores_at_a_time(site: Workshop) -> None:
    made = await backup(site.bench, BackupOptions())

    async with control_session(site.bench.direct_url):
        with pytest.raises(RestoreUnderWay):
            await restore(site.bench, RestoreOptions(made.result["backup"], force=True), verify_chain=find_faults)
        with pytest.raises(RestoreUnderWay):
            await rollback(site.bench, RollbackOptions())


def rewrite(site: Workshop, vault: Vault | None = None, **changes: object) -> str:
    """Change what the manifest of the only backup says, in the catalog and the folder, and sign it; the backup's id."""
    store = LocalStore(site.bench.settings.backup_dir)
    [name] = [one for one in store.list_names() if one.endswith(".manifest.json")]
    manifest = replace(read_manifest(json.loads(store.read_text(name))), **changes)  # type: ignore[arg-type]
    if "signature" not in changes:
        manifest = replace(manifest, signature=(vault or site.bench.vault).sign(manifest.unsigned_text()))
    store.put_text(name, manifest.as_text())
    with psycopg.connect(site.url, autocommit=True) as connection:
        connection.execute("UPDATE backups SET manifest = %s", [Jsonb(manifest.as_document())])
    return str(manifest.id)


async def refused(site: Workshop, backup_id: str, error: type[DomainError], *, force: bool = True) -> str:
    """Why a restore is refused; the live database is as it was then, and nothing is left beside it."""
    site.sql(PRODUCTS.format("late", 3))
    live = site.sql("SELECT current_database()")[0][0]
    with pytest.raises(error) as caught:
        await restore(site.bench, RestoreOptions(backup_id, force), verify_chain=find_faults)
    assert site.sql("SELECT count(*) FROM products") == [(3,)]
    assert databases(site.url, f"{live}_") == []
    return caught.value.message


async def test_an_unproven_backup_is_refused_unless_it_is_forced(site: Workshop) -> None:
    made = await backup(site.bench, BackupOptions())

    await refused(site, made.result["backup"], BackupUnproven, force=False)
    site.sql("UPDATE backups SET status = 'verified', verified_at = now()")
    await restore(site.bench, RestoreOptions(made.result["backup"]), verify_chain=find_faults)

    assert site.sql("SELECT count(*) FROM products") == [(0,)]


async def test_a_newer_schema_is_refused_whatever_is_forced(site: Workshop) -> None:
    await backup(site.bench, BackupOptions())

    assert "update the server first" in await refused(site, rewrite(site, schema_head="9999"), BackupTooNew)


async def test_a_backup_with_other_keys_is_refused_whatever_is_forced(site: Workshop) -> None:
    await backup(site.bench, BackupOptions())
    other = Vault((make_key(),))

    foreign = rewrite(site, other, key_fingerprints=other.fingerprints())

    await refused(site, foreign, BackupKeyMissing)


async def test_an_unsigned_manifest_is_refused_unless_it_is_forced(site: Workshop) -> None:
    await backup(site.bench, BackupOptions())
    unsigned = rewrite(site, signature="")
    site.sql("UPDATE backups SET status = 'verified'")

    assert "not signed" in await refused(site, unsigned, BackupRefused, force=False)
    await restore(site.bench, RestoreOptions(unsigned, force=True), verify_chain=find_faults)


async def test_a_damaged_file_is_refused(site: Workshop) -> None:
    made = await backup(site.bench, BackupOptions())
    file = site.bench.settings.backup_dir / made.result["fileName"]
    whole = file.read_bytes()

    file.write_bytes(whole[:-100])
    assert "cut off" in await refused(site, made.result["backup"], DamagedFile)
    site.sql("DELETE FROM products")
    file.write_bytes(whole[:500] + bytes([whole[500] ^ 1]) + whole[501:])
    assert "SHA-256" in await refused(site, made.result["backup"], DamagedFile)


async def test_a_file_that_holds_something_else_than_its_manifest_says_is_refused_after_it_was_examined(
    site: Workshop,
) -> None:
    await backup(site.bench, BackupOptions())
    store = LocalStore(site.bench.settings.backup_dir)
    [name] = [one for one in store.list_names() if one.endswith(".manifest.json")]
    tables = read_manifest(json.loads(store.read_text(name))).tables
    stale = tuple(replace(one, rows=one.rows + 3) if one.name == "public.products" else one for one in tables)

    said = await refused(site, rewrite(site, tables=stale), BackupRefused)

    assert "public.products has 0 rows instead of 3" in said


async def test_too_little_disk_is_told_before_anything_is_made(site: Workshop) -> None:
    await backup(site.bench, BackupOptions())
    huge = rewrite(site, database_bytes=10**18)
    own = site.bench.settings.model_copy(update={"database_url": None})
    embedded = replace(site, bench=replace(site.bench, settings=own))

    assert "make room first" in await refused(embedded, huge, NoRoom)


@pytest.mark.parametrize(
    ("phase", "delay"),
    [
        ("checking", 0),
        ("restoring", 0),
        ("analyzing", 0),
        ("examining", 0),
        ("carrying over", 0),
        ("carrying over", 0.05),
        ("swapping", 0),
        ("swapping", 0.02),
        ("swapping", 0.05),
        ("swapping", 0.1),
        ("finishing", 0),
    ],
)
async def test_a_killed_restore_leaves_one_of_both_whole_and_nothing_else(
    site: Workshop, phase: str, delay: float
) -> None:
    made = await backup(site.bench, BackupOptions())
    site.sql(PRODUCTS.format("late", 3))
    live = site.sql("SELECT current_database()")[0][0]
    await site.bench.direct.connection.close()

    await asyncio.to_thread(die_restoring, site.bench.settings, made.result["backup"], phase, delay)

    [(products,)] = site.sql("SELECT count(*) FROM products")
    assert products in ((3,) if phase != "finishing" else (0,)) or phase == "swapping"
    async with open_runtime(site.bench.settings, site.url) as runtime:
        await eventually_buried(runtime)
    assert site.sql("SELECT status FROM runs") in ([("lost",)], [("succeeded",)])
    left = databases(site.url, f"{live}_")
    assert left == [] if products == 3 else (len(left) == 1 and "_before_" in left[0])


async def eventually_buried(runtime: Runtime) -> None:
    """The killed process's sessions end within a second or two; until then its run has an owner."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        await bury_lost(runtime, patience=0.1)
        async with runtime.database.transaction() as tx:
            if not await runs.list_running(tx):
                return
    raise AssertionError("the run of the killed process is not buried")
