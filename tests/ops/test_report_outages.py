"""Reports while something is wrong: an outage or a defect is told; older versions have them, too."""

from __future__ import annotations

import time
from pathlib import Path

import psycopg
import pytest

from app.db.migrations import migrate
from app.domain.findings import Finding, Level
from app.domain.reports import Period, Report, SectionName, as_document, sections_of
from app.ops.overview.rendering import render
from app.ops.overview.reports import compile_report
from app.runtime import Runtime, open_runtime
from tests.acceptance.test_postgres_versions import installed_servers, make_owned_database, running
from tests.conftest import Clock, make_settings
from tests.db.stoppable import Stoppable
from tests.web.logs import captured_lines

NEEDS_NO_DATABASE = {SectionName.RESOURCES, SectionName.CERTIFICATES}


async def compiled(runtime: Runtime) -> Report:
    return await compile_report(runtime.installation(), Period.QUARTERLY, now=runtime.now())


@pytest.mark.parametrize("how", ["stopped", "frozen"])
async def test_while_the_database_is_away_or_hangs_the_report_still_comes(
    stoppable: Stoppable, tmp_path: Path, clock: Clock, how: str
) -> None:
    async with open_runtime(make_settings(stoppable.url, tmp_path), stoppable.url, clock=clock) as runtime:
        assert (await compiled(runtime)).sections[0].level is Level.GOOD

        started_at = time.monotonic()
        if how == "frozen":
            with stoppable.frozen():
                found = await compiled(runtime)
        else:
            stoppable.stop()
            found = await compiled(runtime)
            stoppable.start()
        took = time.monotonic() - started_at

        assert took < 13  # ten seconds, and what starting the database again takes
        unavailable = {one.name for one in found.sections if one.level in (Level.UNAVAILABLE, Level.BAD)}
        assert set(SectionName) - unavailable <= NEEDS_NO_DATABASE
        assert found.sections[0].findings[0] == Finding("database", Level.BAD, "The database does not answer.")
        assert as_document(found)["level"] == "bad"
        assert "[bad] The database does not answer." in render(found).text
        assert (await compiled(runtime)).sections[0].level is Level.GOOD


async def test_a_defect_in_one_section_is_logged_and_keeps_nobody_from_the_others(
    fresh_database: str, tmp_path: Path, clock: Clock
) -> None:
    with psycopg.connect(fresh_database) as connection:
        connection.execute("ALTER TABLE api_keys DROP COLUMN last_used_at")

    async with open_runtime(make_settings(fresh_database, tmp_path), fresh_database, clock=clock) as runtime:
        with captured_lines("error") as lines:
            found = await compiled(runtime)

    [broken] = [one for one in found.sections if one.name is SectionName.API_KEYS]
    assert "the log has the cause" in broken.findings[0].sentence
    [line] = lines.read()
    assert (line["event"], line["section"]) == ("defect", "api_keys")
    assert [one.level for one in found.sections if one.name is SectionName.ACCOUNTS] == [Level.GOOD]


@pytest.mark.parametrize("bin_dir", [one for one in installed_servers() if "embedded" not in str(one)], ids=str)
async def test_older_versions_have_reports_too(bin_dir: Path, tmp_path: Path) -> None:
    with running(bin_dir) as port:
        url = make_owned_database(port)
        migrate(url)
        async with open_runtime(make_settings(url, tmp_path), url) as runtime:
            found = await compiled(runtime)

    assert [one.name for one in found.sections if "defect" in str(one.findings)] == []
    assert tuple(one.name for one in found.sections) == sections_of(Period.QUARTERLY)
