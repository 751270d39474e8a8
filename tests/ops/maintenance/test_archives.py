"""Archives can be verified, are found when they were changed, and can be read back as the documents say."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import psycopg

from app.db import events
from app.db.engine import Database
from app.domain.events import EventName
from app.domain.maintenance import PruneOptions
from app.domain.permissions import COMMAND_LINE
from app.ops import audit_chain
from app.ops.maintenance import archived_trail, archives
from app.ops.maintenance.prune import prune
from app.settings import Settings
from tests.conftest import Clock
from tests.db.roles import PSQL
from tests.factories.store import VAULT
from tests.live import REPOSITORY
from tests.ops.maintenance.bench import put_validations, rows, run, workbench


async def archive_trail(settings: Settings, clock: Clock) -> list[Path]:
    """Archive three events of 800 days ago, and three of 790 in a file of their own; the files in their order."""
    async with workbench(settings, clock) as bench:
        for days in (800, 790):
            now = clock.now - timedelta(days=days)
            async with bench.database.transaction() as tx:
                for number in range(3):
                    data = {"after": {"name": f'Müller "& Söhne\\" {number}\n'}}
                    await events.record(tx, COMMAND_LINE, EventName.LICENSE_CHANGED, f"{number}", now=now, data=data)
            await audit_chain.seal(bench.database, VAULT, now=now)
            await prune(bench, PruneOptions())
    return sorted(settings.archive_dir.glob("audit_events-*.jsonl.gz"))


async def follow(url: str, folder: Path) -> list[str]:
    database = Database(url, pool_size=1)
    try:
        return await archived_trail.follow(database, VAULT, folder)
    finally:
        await database.close()


async def verify(url: str, folder: Path) -> list[str]:
    database = Database(url, pool_size=1)
    try:
        return [wrong async for _, wrong in archives.verify_all(database, folder) if wrong is not None]
    finally:
        await database.close()


def forge(url: str, path: Path, content: bytes) -> None:
    """Replace a file, and make record and manifest fit it."""
    path.write_bytes(content)
    facts = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    manifest = path.with_name(path.name.replace(".jsonl.gz", ".manifest.json"))
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **facts}))
    with psycopg.connect(url) as connection:
        update = "UPDATE archives SET sha256 = %s, bytes = %s WHERE file_name = %s"
        connection.execute(update, [*facts.values(), path.name])


async def test_the_chain_is_followed_through_all_archives_of_the_trail(
    settings: Settings, clock: Clock, fresh_database: str
) -> None:
    paths = await archive_trail(settings, clock)

    assert (len(paths), await follow(fresh_database, settings.archive_dir)) == (2, [])
    assert await verify(fresh_database, settings.archive_dir) == []


async def test_an_archive_that_was_changed_together_with_its_record_and_manifest_is_found_by_the_chain(
    settings: Settings, clock: Clock, fresh_database: str
) -> None:
    first, second = await archive_trail(settings, clock)
    lines = gzip.decompress(first.read_bytes()).splitlines(keepends=True)
    lines[1] = lines[1].replace(b"license.changed", b"license.renewed")
    forge(fresh_database, first, gzip.compress(b"".join(lines)))

    assert await verify(fresh_database, settings.archive_dir) == []
    assert await follow(fresh_database, settings.archive_dir) == [f"{first.name}: position 2 is not what was sealed."]

    first.unlink()
    assert await follow(fresh_database, settings.archive_dir) == [f"{second.name}: position 4 follows position 0."]
    second.write_bytes(b"\x1f\x8b\x08\x00nothing at all")
    [ends] = await follow(fresh_database, settings.archive_dir)
    assert ends.startswith("The archives of the audit trail end at 0:00")


async def test_record_and_manifest_must_agree(settings: Settings, clock: Clock, fresh_database: str) -> None:
    for day in range(3):
        put_validations(fresh_database, clock.now - timedelta(days=100 + day), 2)
    await run(settings, clock)
    changed, gone, broken = sorted(settings.archive_dir.glob("*.manifest.json"))
    changed.write_text(json.dumps({**json.loads(changed.read_text()), "rows": 3, "subject": "x"}))
    gone.unlink()
    broken.write_text("[]")

    assert sorted(await verify(fresh_database, settings.archive_dir)) == [
        f"{changed.name} differs from the record: subject, rows.",
        f"{gone.name} is missing.",
        f"{broken.name} can't be read.",
    ]


async def test_a_file_that_is_no_archive_though_its_record_fits_is_told(
    settings: Settings, clock: Clock, fresh_database: str
) -> None:
    put_validations(fresh_database, clock.now - timedelta(days=100), 2)
    await run(settings, clock)
    [path] = settings.archive_dir.glob("*.jsonl.gz")
    forge(fresh_database, path, b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + b"\xff" * 40)

    [wrong] = await verify(fresh_database, settings.archive_dir)

    assert wrong.startswith(f"{path.name} can't be read: ")


async def test_what_others_write_into_the_folder_is_left_alone(settings: Settings, clock: Clock) -> None:
    settings.archive_dir.mkdir()
    download = settings.archive_dir / "film.mkv.partial"
    download.write_text("half")

    await run(settings, clock)

    assert download.exists()
    assert archives.list_finished(settings.archive_dir) == set()


async def test_archives_are_read_back_as_the_documents_say(
    settings: Settings, clock: Clock, fresh_database: str
) -> None:
    put_validations(fresh_database, clock.now - timedelta(days=92), 5)  # 2025-11-29, the day that the documents name
    query = "SELECT event::text FROM {} AS event ORDER BY id"
    expected = rows(fresh_database, query.format("validation_events"))
    await archive_trail(settings, clock)

    read_back(fresh_database, settings.data_dir, documented_recipe())

    assert rows(fresh_database, query.format("restored_validation_events")) == expected
    names = rows(fresh_database, "SELECT data #>> '{after,name}' FROM restored_audit_events ORDER BY id")
    assert names == 2 * [(f'Müller "& Söhne\\" {number}\n',) for number in range(3)]


def documented_recipe() -> str:
    text = (REPOSITORY / "docs/operations.md").read_text()
    return text.partition("To read archives back")[2].partition("```sql\n")[2].partition("```")[0]


def read_back(url: str, folder: Path, recipe: str) -> None:
    command: Sequence[str] = [str(PSQL), "-X", "-v", "ON_ERROR_STOP=1", "-d", url]
    subprocess.run(
        command,
        input=recipe.encode(),
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        check=True,
        capture_output=True,
        timeout=60,
    )
