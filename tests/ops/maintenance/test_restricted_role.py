"""A role that owns nothing: what PostgreSQL only warns of is never told as a success; on every version at hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.db.migrations import migrate
from app.domain.maintenance import ReindexOptions, TableOptions
from app.domain.runs import Outcome, RunStatus
from app.ops.maintenance.analyze import analyze
from app.ops.maintenance.reindex import reindex
from app.ops.maintenance.vacuum import vacuum
from app.settings import Settings
from tests.acceptance.test_postgres_versions import installed_servers, running
from tests.conftest import make_settings
from tests.ops.maintenance.workshop import by_name, open_workshop

GUEST = "guest_of_maintenance"


@pytest.fixture(scope="module", params=installed_servers(), ids=str)
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """The port of a server of this version, with our schema in the database `postgres`, and a role without rights."""
    bin_dir: Path = request.param
    with running(bin_dir) as found:
        migrate(f"postgresql://postgres@127.0.0.1:{found}/postgres")
        with psycopg.connect(f"postgresql://postgres@127.0.0.1:{found}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {GUEST} LOGIN".encode())
            connection.execute("CREATE TABLE of_guests (id int PRIMARY KEY, words text)")
            connection.execute("INSERT INTO of_guests SELECT n, repeat('x', 3000) FROM generate_series(1, 300) AS n")
            connection.execute(f"ALTER TABLE of_guests OWNER TO {GUEST}".encode())
        yield found


@pytest.fixture
def local_settings(port: int, tmp_path: Path) -> Settings:
    """Settings for that server."""
    return make_settings(url_of(port, "postgres"), tmp_path)


def url_of(port: int, role: str) -> str:
    """The address of the database for a role."""
    return f"postgresql://{role}@127.0.0.1:{port}/postgres"


def toast_entry(outcome: Outcome) -> dict[str, Any]:
    """What came of the index of the TOAST table."""
    [entry] = [entry for name, entry in by_name(outcome, "indexes").items() if name.startswith("pg_toast.")]
    return entry


async def test_what_was_refused_is_a_warning_with_its_remedy_and_all_of_it_a_failure(
    port: int, local_settings: Settings
) -> None:
    async with open_workshop(local_settings, url_of(port, "postgres"), direct_url=url_of(port, GUEST)) as workshop:
        everything = await vacuum(workshop.bench, TableOptions(force=True))
        refused = await vacuum(workshop.bench, TableOptions(("licenses",), force=True))
        not_analyzed = await analyze(workshop.bench, TableOptions(("licenses",), force=True))
        not_rebuilt = await reindex(workshop.bench, ReindexOptions(indexes=("pk_licenses",), force=True))
        version = workshop.bench.direct.connection.info.server_version // 10000

    entries = by_name(everything)
    assert everything.status == RunStatus.SUCCEEDED_WITH_WARNINGS
    assert [name for name, entry in entries.items() if entry["action"] == "vacuumed"] == ["public.of_guests"]
    assert len(everything.warnings) == len(entries) - 1
    assert (refused.status, not_analyzed.status, not_rebuilt.status) == (RunStatus.FAILED,) * 3
    reason = by_name(refused)["public.licenses"]["reason"]
    remedy = "GRANT MAINTAIN ON TABLE public.licenses" if version >= 17 else "Only its owner can do that"
    assert remedy in reason
    assert '"licenses"' in reason
    assert by_name(not_rebuilt, "indexes")["public.pk_licenses"]["action"] == "skipped"
    assert refused.failure is not None
    assert refused.failure.startswith("Nothing could be done to any of 1 tables: public.licenses: ")


async def test_the_remedy_of_newer_versions_helps(port: int, local_settings: Settings) -> None:
    async with open_workshop(local_settings, url_of(port, "postgres"), direct_url=url_of(port, GUEST)) as workshop:
        if workshop.bench.direct.connection.info.server_version < 170000:
            pytest.skip("MAINTAIN came with PostgreSQL 17")
        workshop.sql(f"GRANT MAINTAIN ON TABLE public.plans TO {GUEST}")

        vacuumed = await vacuum(workshop.bench, TableOptions(("plans",), force=True))
        rebuilt = await reindex(workshop.bench, ReindexOptions(("plans",), force=True))
        workshop.sql(f"REVOKE MAINTAIN ON TABLE public.plans FROM {GUEST}")

    assert vacuumed.status == RunStatus.SUCCEEDED
    assert by_name(rebuilt, "indexes")["public.pk_plans"]["action"] == "rebuilt"


async def test_everything_works_on_this_version(port: int, local_settings: Settings) -> None:
    async with open_workshop(local_settings, url_of(port, "postgres")) as workshop:
        vacuumed = await vacuum(workshop.bench, TableOptions(force=True))
        analyzed = await analyze(workshop.bench, TableOptions())
        rebuilt = await reindex(workshop.bench, ReindexOptions(force=True))
        judged = await reindex(workshop.bench, ReindexOptions())

    assert [one.status for one in (vacuumed, analyzed, rebuilt, judged)] == [RunStatus.SUCCEEDED] * 4
    assert by_name(vacuumed)["public.validation_events"]["action"] == "analyzed"
    assert {entry["action"] for entry in rebuilt.result["indexes"]} == {"rebuilt"}


async def test_toast_indexes_of_an_owner_need_a_grant_that_the_reason_names(
    port: int, local_settings: Settings
) -> None:
    async with open_workshop(local_settings, url_of(port, "postgres"), direct_url=url_of(port, GUEST)) as workshop:
        refused = await reindex(workshop.bench, ReindexOptions(("of_guests",), force=True))
        workshop.sql(f"GRANT USAGE ON SCHEMA pg_toast TO {GUEST}")
        allowed = await reindex(workshop.bench, ReindexOptions(("of_guests",), force=True))
        workshop.sql(f"REVOKE USAGE ON SCHEMA pg_toast FROM {GUEST}")

    assert toast_entry(refused)["action"] == "skipped"
    assert f"GRANT USAGE ON SCHEMA pg_toast TO {GUEST}" in toast_entry(refused)["reason"]
    assert (refused.status, allowed.status) == (RunStatus.SUCCEEDED_WITH_WARNINGS, RunStatus.SUCCEEDED)
    assert toast_entry(allowed)["action"] == "rebuilt"


async def test_a_schema_that_our_role_may_not_enter_is_named_with_its_grant(
    port: int, local_settings: Settings
) -> None:
    async with open_workshop(local_settings, url_of(port, "postgres"), direct_url=url_of(port, GUEST)) as workshop:
        workshop.sql(
            'CREATE SCHEMA "Closed"',
            'CREATE TABLE "Closed".own (id int PRIMARY KEY)',
            f'ALTER TABLE "Closed".own OWNER TO {GUEST}',
        )
        vacuumed = await vacuum(workshop.bench, TableOptions(('"Closed".own',), force=True))
        rebuilt = await reindex(workshop.bench, ReindexOptions(('"Closed".own',), force=True))
        workshop.sql('DROP SCHEMA "Closed" CASCADE')

    remedy = f'As its owner: GRANT USAGE ON SCHEMA "Closed" TO {GUEST}; or set DATABASE_DIRECT_URL.'
    assert by_name(vacuumed)['"Closed".own']["reason"].endswith(remedy)
    assert by_name(rebuilt, "indexes")['"Closed".own_pkey']["reason"].endswith(remedy)
