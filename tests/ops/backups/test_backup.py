"""Backups of a real database."""

from __future__ import annotations

import json
import stat
from uuid import UUID

from app.db.direct import direct_connection
from app.db.queries import backups
from app.domain.backups import BackupStatus, read_manifest
from app.domain.maintenance import BackupOptions
from app.ops.backups.backup import backup
from app.ops.backups.contents import read_contents
from app.ops.backups.unpacking import list_entries, restore_into
from tests.ops.maintenance.workshop import Workshop


async def test_a_backup_is_a_file_a_manifest_and_a_row_and_restores_to_the_same(workshop: Workshop) -> None:
    workshop.sql("INSERT INTO products (id, name) SELECT 'p' || n, 'p' || n FROM generate_series(1, 9) n")

    outcome = await backup(workshop.bench, BackupOptions(pin=True, note="before"))

    folder = workshop.bench.settings.backup_dir
    file = folder / outcome.result["fileName"]
    manifest = read_manifest(json.loads((folder / (file.name.partition(".")[0] + ".manifest.json")).read_text()))
    async with workshop.bench.database.transaction() as tx:
        row = await backups.get_backup(tx, UUID(outcome.result["backup"]))
    assert (row.status, row.is_pinned, row.note, row.stores) == (BackupStatus.STORED, True, "before", ["local"])
    assert row.manifest == manifest.as_document()
    assert workshop.bench.vault.is_signed(manifest.unsigned_text(), manifest.signature)
    assert {table.name: table.rows for table in manifest.tables}["public.products"] == 9
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    workshop.sql("CREATE DATABASE restored TEMPLATE template0")
    try:
        url = workshop.url.replace(workshop.sql("SELECT current_database()")[0][0], "restored")
        with file.open("rb") as source:
            entries = list_entries(source, None)
        with file.open("rb") as source:
            restore_into(url, source, entries, None, 18, [], has_roles=False)
        async with direct_connection(url) as direct:
            restored = await read_contents(direct, lambda share, table: None, rested_share=0)
    finally:
        workshop.sql("DROP DATABASE restored")
    assert restored == manifest.tables
