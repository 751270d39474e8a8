"""Backups for tests of stores: a manifest and a file that belong together, as any database's would."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from app.db.models import Backup
from app.db.workbench import Workbench
from app.domain.backups import BackupStatus, Manifest, StoreName, TableContent, backup_file_name
from app.ops.backups.stores import LocalStore
from app.vault import Vault
from tests.ops.maintenance.workshop import NOW


def bench_with(bench: Workbench, **settings: str) -> Workbench:
    """The same workbench with other settings, read as those of an environment are."""
    known = type(bench.settings).model_validate({"data_dir": bench.settings.data_dir, **settings})
    changes = {name: getattr(known, name) for name in settings}
    return replace(bench, settings=bench.settings.model_copy(update=changes))


def make_content(size: int) -> bytes:
    """Bytes that no compression makes smaller."""
    return random.Random(size).randbytes(size)


def make_manifest(
    vault: Vault, content: bytes, *, backup_id: UUID | None = None, created_at: datetime = NOW, **others: object
) -> Manifest:
    """The signed manifest of a backup whose file holds this."""
    backup_id = backup_id or uuid4()
    manifest = Manifest(
        id=backup_id,
        created_at=created_at,
        file_name=backup_file_name(backup_id, created_at, is_encrypted=False),
        bytes=len(content),
        raw_bytes=len(content) * 3,
        sha256=hashlib.sha256(content).hexdigest(),
        encrypted_for=None,
        database="licenses",
        database_bytes=len(content) * 9,
        server_version="18.6",
        tool_version="18.6",
        app_version="1.0.0",
        schema_head="0001",
        tables=(TableContent("public.products", 9, "12"),),
        key_fingerprints=vault.fingerprints(),
        duration_seconds=2.5,
    )
    manifest = replace(manifest, **others)  # type: ignore[arg-type]
    return replace(manifest, signature=vault.sign(manifest.unsigned_text()))


async def put_backup(bench: Workbench, content: bytes, *, age_days: int = 0, is_on_record: bool = True) -> Manifest:
    """A backup in the folder, and on record."""
    manifest = make_manifest(bench.vault, content, created_at=NOW - timedelta(days=age_days))
    local = LocalStore(bench.settings.backup_dir)
    local.prepare()
    (local.folder / manifest.file_name).write_bytes(content)
    local.put_text(manifest.name, manifest.as_text())
    if is_on_record:
        async with bench.database.transaction() as tx:
            tx.add(
                Backup(
                    id=manifest.id,
                    tool="license-server",
                    status=BackupStatus.STORED,
                    created_at=manifest.created_at,
                    file_name=manifest.file_name,
                    stores=[str(StoreName.LOCAL)],
                    bytes=manifest.bytes,
                    sha256=manifest.sha256,
                    manifest=manifest.as_document(),
                )
            )
    return manifest


async def read_row(bench: Workbench, backup_id: UUID) -> Backup:
    """The backup as the catalog has it."""
    async with bench.database.transaction() as tx:
        row = await tx.get(Backup, backup_id)
        assert row is not None, "it is on record"
        return row
