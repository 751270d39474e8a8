"""Every question about the database is answered by every PostgreSQL that is at hand."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from app.db.engine import Database
from app.db.migrations import migrate
from app.domain.diagnostics.answers import Status
from app.domain.findings import Level
from app.ops.diagnostics import bloat, indexes, statements
from app.ops.diagnostics.examination import examine
from tests.acceptance.test_postgres_versions import installed_servers, make_owned_database, running

NOW = datetime(2026, 3, 31, tzinfo=UTC)
OLDER = installed_servers()[1:]

pytestmark = pytest.mark.acceptance


@pytest.mark.parametrize("bin_dir", OLDER, ids=str)
async def test_older_servers_answer_every_question(bin_dir: Path) -> None:
    with running(bin_dir) as port:
        url = make_owned_database(port)
        migrate(url)
        superuser = url.replace("license_owner@", "postgres@")
        with psycopg.connect(superuser, autocommit=True) as connection:
            version = connection.info.server_version // 10000
            connection.execute("SET enable_seqscan = off")
            connection.execute("SELECT * FROM plans WHERE id = '00000000-0000-0000-0000-000000000007'")
        database = Database(superuser, pool_size=2)
        findings = await examine(database, now=NOW)
        costs = await statements.look(database)
        uses = await indexes.look(database, limit=500)
        missing = await bloat.measure(database)
        with psycopg.connect(superuser, autocommit=True) as connection:
            has_extension = (
                connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'pgstattuple'").fetchone()
                is not None
            )
            if has_extension:
                connection.execute("CREATE EXTENSION pgstattuple")
        exact = await bloat.measure(database)
        await database.close()

    unsure = {finding.check: finding for finding in findings if finding.level is Level.UNAVAILABLE}
    assert {finding.level for finding in findings} == {Level.GOOD, Level.UNAVAILABLE}
    assert set(unsure) == {"slow_queries"}, unsure
    assert costs.reason == "PostgreSQL was started without pg_stat_statements in shared_preload_libraries."
    assert costs.remedy is not None
    assert "shared_preload_libraries" in costs.remedy
    assert uses.status is Status.AVAILABLE
    assert any(one.last_scan_at for one in uses.items) == (version >= 16)
    assert (missing.status, missing.remedy) == (Status.UNAVAILABLE, "CREATE EXTENSION pgstattuple;")
    assert (exact.status, exact.reason) == (
        (Status.AVAILABLE, None) if has_extension else (missing.status, missing.reason)
    )
