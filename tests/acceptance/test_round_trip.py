"""A million licenses, backed up, proven, spoilt and restored: every row of every table comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from app.db.direct import direct_connection
from app.db.embedded import embedded_postgres
from app.db.models.base import new_id
from app.domain.license_keys import hash_license_key
from app.ops.backups.contents import read_contents
from app.vault import Vault, keys_from_text
from tests.acceptance.test_postgres_versions import issue, validate
from tests.live import LiveServer

pytestmark = pytest.mark.acceptance

LICENSES = 1_000_000
CHANGED_BY_A_RESTORE = {
    *("public.backups", "public.runs", "public.schedules", "public.sessions", "public.idempotency_keys"),
    *("public.audit_events", "public.audit_links", "public.audit_unsealed", "public.outgoing_mails"),
    *("public.size_samples", "public.statement_samples", "public.error_groups", "public.security_event_counts"),
}
"""What lives on while a backup is made, or is settled by the restore."""


@pytest.mark.timeout(600)
def test_a_million_licenses_come_back_row_for_row_after_a_disaster(embedded_server: LiveServer) -> None:
    server = embedded_server
    with server, embedded_postgres(server.folder / "data") as postgres:
        license_key, url = issue(server), postgres.url
        assert validate(server, license_key, "one") == "VALID"
        fill(url, server)

        made = server.json("backup")
        before = contents(url)
        proven = server.json("backups", "verify")
        spoil(url)
        spoilt = contents(url)
        assert validate(server, license_key, "one") != "VALID"

        restored = server.json("restore", "--confirm", "itechsmart_licenses")
        after = contents(url)
        codes = {validate(server, license_key, "one") for _ in range(3)}

    assert made["result"]["rows"] > LICENSES
    assert proven["status"] == "succeeded", proven
    assert restored["status"] in ("succeeded", "succeeded_with_warnings"), restored
    kept = set(before) - CHANGED_BY_A_RESTORE
    assert set(before) >= CHANGED_BY_A_RESTORE
    assert before["public.licenses"][0] == LICENSES + 1
    assert {name for name in kept if spoilt[name] != before[name]} >= {"public.licenses", "public.organizations"}
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert codes == {"VALID"}


def contents(url: str) -> dict[str, tuple[int, str]]:
    """Rows and checksum of every table by its name."""

    async def read() -> dict[str, tuple[int, str]]:
        async with direct_connection(url) as direct:
            found = await read_contents(direct, lambda share, table: None, rested_share=0)
        return {table.name: (table.rows, table.checksum) for table in found}

    return asyncio.run(read())


def fill(url: str, server: LiveServer) -> None:
    """Licenses like the first, each with a license key of its own that the installation can open."""
    vault = Vault(keys_from_text((server.folder / "data" / "encryption.key").read_text()))
    with psycopg.connect(url) as connection:
        [(organization, plan)] = connection.execute("SELECT organization_id, plan_id FROM licenses").fetchall()
        into = "COPY licenses (id, organization_id, plan_id, tier, license_key_hash, license_key_encrypted) FROM STDIN"
        with connection.cursor().copy(into) as copy:
            for row in rows(vault, organization, plan):
                copy.write_row(row)


def rows(vault: Vault, organization: object, plan: object) -> Iterator[tuple[Any, ...]]:
    for number in range(LICENSES):
        license_key = f"IMPORTED-{number}"
        yield (
            *(new_id(), organization, plan, "BASIC"),
            *(hash_license_key(license_key), vault.encrypt(license_key)),
        )


def spoil(url: str) -> None:
    """What somebody does who has mistaken this database for another one."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("TRUNCATE machines CASCADE")
        connection.execute("DELETE FROM licenses WHERE license_key_hash < '\\x80' OR max_machines IS NOT NULL")
        connection.execute("UPDATE organizations SET name = 'gone'")
        connection.execute("TRUNCATE validation_events")
