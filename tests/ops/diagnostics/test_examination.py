"""The examination: every question judged, never an error, never a hang; and honest for a role that may see little."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import psycopg
import pytest

from app.db.embedded import EmbeddedPostgres
from app.db.engine import Database
from app.db.models import Model
from app.domain.diagnostics.answers import Status
from app.domain.findings import Level
from app.ops.diagnostics import bloat, connections, replication, sequences, statements, tables, transactions
from app.ops.diagnostics.examination import examine
from tests.db.stoppable import Stoppable
from tests.ops.diagnostics.conftest import Run

NOW = datetime(2026, 3, 31, tzinfo=UTC)
SQL = Path(__file__).resolve().parents[3] / "app/db/sql/diagnostics"
CHECKS = {
    "connections",
    "locks",
    "transactions",
    "last_backup",
    "last_verification",
    "last_drill",
    "wraparound",
    "replication",
    "invalid_objects",
    "vacuum",
    "sequences",
    "tables",
    "slow_queries",
    "bloat",
    "unused_indexes",
    "duplicate_indexes",
    "foreign_keys",
}


async def test_every_question_is_a_finding_and_a_young_database_is_good(database: Database) -> None:
    findings = await examine(database, now=NOW)

    levels = {finding.check: finding.level for finding in findings}
    assert set(levels) == CHECKS
    assert {check for check, level in levels.items() if level is not Level.GOOD} == {"slow_queries"}
    assert findings[0].action == "CREATE EXTENSION pg_stat_statements;"


async def test_the_worst_comes_first_with_what_mends_it(database: Database, run: Run) -> None:
    run(
        "CREATE TABLE counted (id serial)",
        "SELECT setval('counted_id_seq', 2147483640)",
        "ALTER TABLE counted SET (autovacuum_enabled = off)",
        "ALTER TABLE counted ADD CONSTRAINT positive CHECK (id > 0) NOT VALID",
    )

    findings = await examine(database, now=NOW)

    assert [(finding.level, finding.check) for finding in findings[:3]] == [
        (Level.BAD, "sequences"),
        (Level.WARNING, "invalid_objects"),
        (Level.WARNING, "vacuum"),
    ]
    run(*(finding.action for finding in findings[:3] if finding.action))
    again = {finding.check: finding.level for finding in await examine(database, now=NOW)}
    assert (again["invalid_objects"], again["vacuum"]) == (Level.GOOD, Level.GOOD)


async def test_a_database_that_hangs_or_is_away_is_told_in_time(stoppable: Stoppable) -> None:
    database = Database(stoppable.url, pool_size=2)
    assert {finding.level for finding in await examine(database, now=NOW)} <= {Level.GOOD, Level.UNAVAILABLE}

    with stoppable.frozen():
        began_at = time.monotonic()
        hanging = await examine(database, now=NOW)
        hanging_seconds = time.monotonic() - began_at
    stoppable.stop()
    away = await examine(database, now=NOW)
    await database.close()

    assert hanging_seconds < 8
    for findings in (hanging, away):
        assert (findings[0].check, findings[0].level) == ("connection", Level.BAD)
        assert {finding.level for finding in findings[1:]} == {Level.UNAVAILABLE}


async def test_a_question_that_takes_too_long_is_unavailable(database: Database, other: psycopg.Connection) -> None:
    answer = await connections.look(database, seconds=0.001)

    assert answer.status is Status.UNAVAILABLE
    assert answer.reason == "It took longer than 0.001 s, or was cancelled; ask again when less is going on."


@pytest.fixture
def restricted_url(fresh_database: str, postgres: EmbeddedPostgres, run: Run) -> Iterator[str]:
    """The URL of a role that may log in and read the samples, and nothing else."""
    run(
        "CREATE ROLE restricted LOGIN",
        "GRANT SELECT ON size_samples TO restricted",
        "CREATE EXTENSION pg_stat_statements",
        "CREATE EXTENSION pgstattuple",
        "CREATE SEQUENCE hidden",
        "SELECT nextval('hidden')",
        "ANALYZE plans",
    )
    yield fresh_database.replace("postgres@", "restricted@")
    run("DROP OWNED BY restricted", "DROP ROLE restricted")


async def test_a_role_without_grants_gets_honest_answers(
    restricted_url: str, other: psycopg.Connection, fresh_database: str
) -> None:
    database = Database(restricted_url, pool_size=2)
    with psycopg.connect(fresh_database, application_name="forgotten") as forgotten:
        forgotten.execute("SELECT 'secret' AS forgotten")
        seen = await connections.look(database)
        costs = await statements.look(database)
        open_ones = await transactions.look(database)
    log = await replication.look(database)
    numbers = await sequences.look(database)
    exact = await bloat.measure(database)
    sizes = await tables.look(database, today=date(2026, 3, 31))
    findings = await examine(database, now=NOW)
    await database.close()

    hidden, grant = "What other roles do is hidden from this one.", "GRANT pg_monitor TO restricted;"
    for answer in (seen, costs, open_ones):
        assert (answer.status, answer.reason, answer.remedy) == (Status.AVAILABLE, hidden, grant)
    assert {(one.application, one.state) for one in seen.items} >= {("forgotten", "unknown")}
    assert {one.statement for one in seen.longest} == {None}
    assert [one for one in costs.items if "forgotten" in one.statement] == []
    assert open_ones.items == ()
    assert (log.wal_bytes, log.remedy) == (None, grant)
    assert (numbers.items[0].last_value, numbers.reason) == (
        None,
        "This role may not read the last value of 1 sequences.",
    )
    assert (exact.status, exact.remedy) == (Status.UNAVAILABLE, grant)
    assert "permission denied for function pgstat" in (exact.reason or "")
    assert sizes.items[0].total_bytes > 0
    unsure = {finding.check for finding in findings if finding.level is Level.UNAVAILABLE}
    assert {"locks", "transactions", "slow_queries", "replication", "sequences", "last_backup"} <= unsure


def test_every_statement_says_why_it_is_and_reads_no_table_of_ours() -> None:
    ours = {mapper.local_table.name for mapper in Model.registry.mappers}  # type: ignore[attr-defined]
    for path in SQL.glob("*.sql"):
        text = path.read_text()
        assert text.startswith("-- "), path
        sources = set(re.findall(r"\b(?:FROM|JOIN)\s+([a-z_]+)\b(?! AS part)", text))
        assert sources & ours <= {"tables"} - ours, path
    assert len(list(SQL.glob("*.sql"))) > 20
