"""What was closed since a backup: what stays closed after its restore, what is open again and told, what is swept."""

from __future__ import annotations

from app.domain.license_keys import hash_license_key
from app.domain.maintenance import BackupOptions, RestoreOptions
from app.jobs.backups import sweep_scratch_databases
from app.ops.audit_chain import find_faults
from app.ops.backups.backup import backup
from app.ops.backups.restore import restore
from app.ops.backups.scratch import Purpose, scratch_database, scratch_name
from app.ops.backups.swap import control_session
from app.runtime import open_runtime
from tests.ops.backups.test_restore import databases, site
from tests.ops.maintenance.workshop import Workshop

__all__ = ["site"]

ONE = "00000000-0000-7000-8000-000000000001"


async def test_rotated_keys_and_withdrawn_invitations_stay_so_and_reopened_licenses_are_told(site: Workshop) -> None:
    site.sql(
        "INSERT INTO organizations (id, name, domain, email, created_at, updated_at)"
        f" VALUES ('{ONE}', 'o', 'o.example', 'o@o.example', now(), now())",
        "INSERT INTO users (id, email, name, role, password_hash, created_at, updated_at)"
        f" VALUES ('{ONE}', 'u@o.example', 'n', 'OPERATOR', 'old', now(), now())",
        "INSERT INTO api_keys (id, name, prefix, secret_hash, scopes, created_at, updated_at)"
        f" VALUES ('{ONE}', 'k', 'p', 'k', '{{}}', now(), now())",
        "INSERT INTO invitations (id, email, role, token_hash, expires_at, created_at, updated_at)"
        f" VALUES ('{ONE}', 'i@o.example', 'OPERATOR', 't', now() + interval '7 days', now(), now())",
        "INSERT INTO licenses (id, organization_id, plan_id, tier, license_key_hash, license_key_encrypted, created_at,"
        f" updated_at) SELECT '{ONE}', '{ONE}', (SELECT min(id::text)::uuid FROM plans), 'TRIAL',"
        f" '\\x{hash_license_key('key').hex()}', '\\x{site.bench.vault.encrypt('key').hex()}', now(), now()",
    )
    made = await backup(site.bench, BackupOptions())
    site.sql(
        "UPDATE organizations SET suspended_at = now()",
        "UPDATE users SET password_hash = 'new'",
        "UPDATE api_keys SET expires_at = '2020-01-01'",
        "UPDATE invitations SET revoked_at = '2020-01-01'",
        "UPDATE licenses SET status = 'REVOKED'",
    )

    outcome = await restore(site.bench, RestoreOptions(made.result["backup"], force=True), verify_chain=find_faults)

    assert site.sql("SELECT count(*) FROM api_keys WHERE expires_at = '2020-01-01'") == [(1,)]
    assert site.sql("SELECT count(*) FROM invitations WHERE revoked_at = '2020-01-01'") == [(1,)]
    assert site.sql("SELECT status FROM licenses") == [("ACTIVE",)]
    assert outcome.warnings == (
        "1 API keys end, and 1 invitations stay withdrawn, as was decided since.",
        f"1 licenses that were revoked or suspended since are active again, look through them: {ONE}.",
        f"1 organizations that were suspended since are not any more, look through them: {ONE}.",
        f"1 people have the password, second factor, role or organization of then, look through them: {ONE}.",
    )


async def test_of_a_live_database_that_nobody_can_read_it_is_told_and_the_stores_fill_the_catalog(
    site: Workshop,
) -> None:
    made = await backup(site.bench, BackupOptions())
    later = await backup(site.bench, BackupOptions(note="later"))
    site.sql("UPDATE alembic_version SET version_num = '9999'")

    outcome = await restore(site.bench, RestoreOptions(made.result["backup"], force=True), verify_chain=find_faults)

    assert "The live database could not be read" in outcome.warnings[0]
    found = site.sql("SELECT id::text, status FROM backups ORDER BY id")
    assert found == [(made.result["backup"], "stored"), (later.result["backup"], "stored")]


async def test_what_a_killed_restore_has_left_is_swept_but_never_under_a_living_one(site: Workshop) -> None:
    url, live = site.bench.direct_url, site.sql("SELECT current_database()")[0][0]
    left = scratch_name(live, Purpose.RESTORE, site.bench.run_id)
    async with open_runtime(site.bench.settings, site.url) as runtime:
        async with scratch_database(url, left, None):
            await sweep_scratch_databases(runtime)
            assert databases(url, f"{live}_") == [left]
        site.sql(f'CREATE DATABASE "{left}"')
        async with control_session(url):
            await sweep_scratch_databases(runtime)
            assert databases(url, f"{live}_") == [left]

        await sweep_scratch_databases(runtime)

    assert databases(url, f"{live}_") == []
