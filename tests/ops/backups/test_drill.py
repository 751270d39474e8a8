"""The drill: a trial installation that leaves nothing behind, whatever happens, and a report that is true."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import httpx
import psutil
import pytest

from app.db.models.base import new_id
from app.domain.drills import QUESTIONS, Circumstances, DrillReport, Step, judge_gaps
from app.domain.maintenance import BackupOptions, DrillOptions
from app.domain.permissions import COMMAND_LINE
from app.ops.backups.backup import backup
from app.ops.backups.configuration import Record, gather, make_recovery_key, put_record
from app.ops.backups.drill import clean_up, drill
from app.ops.backups.trial import Trial, TrialFailed, remove_abandoned, trial_installation
from app.vault import make_key
from tests.live import REPOSITORY, wait_until
from tests.ops.maintenance.workshop import Workshop

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ANSWERS = tuple(f"answer {number}" for number in range(len(QUESTIONS)))


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Path]:
    """A folder for trials; nothing runs in it afterwards."""
    folder = tmp_path / "parent"
    folder.mkdir()
    yield folder
    left = processes_in(folder)
    for process in left:
        process.kill()
    assert left == []


@pytest.fixture
async def trial(parent: Path) -> AsyncIterator[Trial]:
    """A trial installation with a migrated database."""
    async with trial_installation(parent, new_id()) as made:
        made.settings = {"DATA_DIR": str(made.data_dir), "DRAIN_SECONDS": "0", "LOG_LEVEL": "warn"}
        yield made
    assert left_in(parent) == []


async def test_commands_and_a_server_run_in_an_installation_of_their_own(trial: Trial) -> None:
    await trial.command("migrate")
    async with trial.serving() as address, httpx.AsyncClient() as client:
        answer = await client.post(f"{address}/api/licenses/validate", json={"licenseKey": "A" * 29})
        listed = json.loads(await trial.command("licenses", "list", "--json"))

    assert answer.json()["code"] == "NOT_FOUND"
    assert listed["items"] == []
    assert trial.folder.stat().st_mode & 0o066 == 0  # PostgreSQL's own account may pass through when we are root
    with pytest.raises(TrialFailed, match="LICENSE_NOT_FOUND"):
        await trial.command("licenses", "show", str(UUID(int=0)))
    trial.settings["PORT"] = "none"
    with pytest.raises(TrialFailed, match="PORT must be"):
        await trial.command("migrate")


async def test_a_drill_that_is_stopped_in_the_middle_leaves_nothing(parent: Path) -> None:
    served = asyncio.Event()

    async def work() -> None:
        async with trial_installation(parent, new_id()) as made:
            made.settings = {"DATA_DIR": str(made.data_dir)}
            async with made.serving():
                served.set()
                await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.wait_for(served.wait(), 60)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task}, timeout=60)

    assert task.cancelled()
    assert left_in(parent) == []
    assert processes_in(parent) == []


@pytest.mark.parametrize("command", ["migrate", "serve"])
async def test_what_a_killed_drill_left_is_ended_and_removed(workshop: Workshop, parent: Path, command: str) -> None:
    script = f"""
import asyncio, sys
from pathlib import Path
from uuid import uuid4
from app.ops.backups.trial import trial_installation

async def work():
    async with trial_installation(Path({str(parent)!r}), uuid4()) as trial:
        trial.settings = {{"DATA_DIR": str(trial.data_dir), "DRAIN_SECONDS": "0"}}
        if {command!r} == "migrate":
            await trial.command("migrate")
        async with trial.serving():
            print("served", flush=True)
            await asyncio.sleep(600)

asyncio.run(work())
"""
    with python(script) as killed:
        if command == "serve":
            assert killed.stdout is not None
            assert await asyncio.to_thread(killed.stdout.readline) == b"served\n"
        else:
            await asyncio.to_thread(wait_until, lambda: bool(postgres_in(parent)), "PostgreSQL runs in the trial")
        killed.send_signal(signal.SIGKILL)
    assert processes_in(parent)

    await clean_up(replace(workshop.bench, settings=workshop.bench.settings.model_copy(update={"data_dir": parent})))

    assert processes_in(parent) == []
    assert left_in(parent) == []


def test_folders_of_people_that_look_like_a_drill_stay(parent: Path) -> None:
    mine, trial_left = parent / "drill-2026-papers", parent / "drill-0123456789ab"
    for folder in (mine, trial_left):
        folder.mkdir()
        (folder / "notes").write_text("kept")

    remove_abandoned(parent)

    assert left_in(parent) == [mine]


async def test_without_a_backup_the_drill_fails_and_says_so_in_its_report(workshop: Workshop) -> None:
    outcome = await drill(workshop.bench, DrillOptions("Ada", ANSWERS))

    data_dir = workshop.bench.settings.data_dir
    assert outcome.failure is not None
    assert outcome.failure.startswith("backup: There is no backup in ")
    [json_file, markdown] = sorted((data_dir / "drills").iterdir())
    assert outcome.result["reports"] == [str(markdown), str(json_file)]
    assert {stat.S_IMODE(one.stat().st_mode) for one in (json_file, markdown)} == {0o600}
    document = json.loads(json_file.read_text())
    assert (document["succeeded"], document["ledBy"]) == (False, "Ada")
    assert document["answers"][0] == {"question": QUESTIONS[0], "answer": "answer 0"}
    assert [step["name"] for step in document["steps"]] == ["configuration", "backup"]
    assert "**failed** (backup: There is no backup" in markdown.read_text()
    assert not list(data_dir.glob("drill-*"))


async def test_a_wrong_recovery_key_fails_the_drill_at_its_first_step(workshop: Workshop) -> None:
    _, recipient = make_recovery_key()
    bench = workshop.bench
    await put_record(bench.database, bench.vault, Record(recipient), gather(bench.settings, now=NOW), COMMAND_LINE, [])
    await backup(bench, BackupOptions())

    outcome = await drill(bench, DrillOptions("Ada", ANSWERS), recovery_key=make_recovery_key()[0])

    assert outcome.failure is not None
    assert "WRONG_RECOVERY_KEY" in outcome.failure
    assert [step["name"] for step in outcome.result["steps"]] == ["configuration"]
    assert "AGE-SECRET-KEY" not in json.dumps(outcome.result)


async def test_what_would_be_missing_is_told_with_what_to_do(workshop: Workshop) -> None:
    perfect = Circumstances(has_recovery_key=True, has_bundle=True, is_off_disk=True, data_age=timedelta(hours=25))

    assert judge_gaps(perfect, ANSWERS) == ()
    assert [gap.action for gap in judge_gaps(replace(perfect, has_bundle=False), ANSWERS)] == [
        "license-server configuration backup"
    ]
    assert "own settings" in judge_gaps(replace(perfect, has_recovery_key=False), ANSWERS)[0].sentence
    assert "same disk" in judge_gaps(replace(perfect, is_off_disk=False), ANSWERS)[0].sentence
    [old] = judge_gaps(replace(perfect, data_age=timedelta(hours=27)), ANSWERS)
    assert old.action == "license-server backup"
    assert [gap.sentence.split(",")[0] for gap in judge_gaps(perfect, ())] == [
        "Nobody was asked what only people can answer"
    ]
    assert len(judge_gaps(perfect, (" ",) * 6)) == len(QUESTIONS)
    assert judge_gaps(perfect, ("Ada",))[0].sentence == f"Nobody answered: {QUESTIONS[1]}"


def test_the_report_adds_up_the_times_of_the_steps() -> None:
    steps = (Step("configuration", 1.5, "a | b"), Step("restore", 60.25, "", "no room"))
    report = DrillReport(UUID(int=1), NOW, "", (), "s3://b", "backup-1", timedelta(hours=3), steps, ())

    assert report.recovery_seconds == 61.75
    assert report.failure == "restore: no room"
    assert report.as_document()["dataLossSeconds"] == 10800
    assert "| configuration | 1.5 s | a \\| b |" in report.as_markdown()
    assert "Nothing was found." in report.as_markdown()
    assert make_key() not in report.as_markdown()


def python(script: str) -> subprocess.Popen[bytes]:
    """A process that does this."""
    return subprocess.Popen([sys.executable, "-c", script], cwd=REPOSITORY, stdout=subprocess.PIPE)


def left_in(folder: Path) -> list[Path]:
    """What is in a folder."""
    return list(folder.iterdir())


def processes_in(folder: Path) -> list[psutil.Process]:
    """The living processes in a folder."""
    return [one for one in psutil.process_iter() if one.pid != os.getpid() and _is_in(one, folder)]


def postgres_in(folder: Path) -> list[psutil.Process]:
    """Those of a PostgreSQL."""
    return [one for one in psutil.process_iter() if _is_in(one, folder) and _is_postgres(one)]


def _is_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).is_relative_to(folder)
    except (psutil.Error, OSError):
        return False


def _is_postgres(process: psutil.Process) -> bool:
    try:
        return process.name() == "postgres"
    except psutil.Error:  # it has ended meanwhile
        return False
