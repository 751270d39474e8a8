"""Restores of real databases: beside the live one, and then in its place."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from app.db.models.base import new_id
from app.db.queries import runs
from app.domain.backups import BackupRefused, BackupTooNew
from app.domain.maintenance import BackupOptions, RestoreOptions, RollbackOptions
from app.domain.restores import BackupUnproven, RestoreUnderWay
from app.domain.runs import RunStatus
from app.ops.audit_chain import find_faults
from app.ops.backups.backup import backup
from app.ops.backups.putaway import discard, list_put_away
from app.ops.backups.restore import restore
from app.ops.backups.rollback import rollback
from app.ops.backups.swap import control_session
from app.settings import Settings
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
