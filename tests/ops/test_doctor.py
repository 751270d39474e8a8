"""The doctor as a whole: one broken thing hides no other."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import psycopg

from app.domain.findings import Finding, Level
from app.ops.overview.doctor import Patient, diagnose
from app.settings import Inspection
from app.vault import Vault
from tests.conftest import ENCRYPTION_KEY, make_settings


async def findings_of(url: str, data_dir: Path) -> dict[str, Finding]:
    inspected = Inspection(make_settings(url, data_dir, port=0), (), frozenset())
    patient = Patient(inspected, url, None, Vault((ENCRYPTION_KEY,)))
    return {one.check: one for one in await diagnose(patient, clock=lambda: datetime.now(UTC))}


async def test_a_folder_that_cannot_be_looked_at_hides_nothing_else(fresh_database: str, tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)

    found = await findings_of(fresh_database, loop)

    assert (found["data_dir"].level, found["database_schema"].level) == (Level.BAD, Level.GOOD)
    assert "could not be looked at" in found["data_dir"].sentence


async def test_a_table_that_is_gone_is_named(fresh_database: str, tmp_path: Path) -> None:
    with psycopg.connect(fresh_database) as connection:
        connection.execute("DROP TABLE runs")

    found = await findings_of(fresh_database, tmp_path)

    assert (found["database"].level, found["data_dir"].level) == (Level.BAD, Level.GOOD)
    assert 'relation "runs" does not exist' in found["database"].sentence
