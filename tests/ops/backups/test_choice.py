"""Which backup is restored where there is no catalog, and from which copy of its file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pyrage import x25519

from app.db.workbench import Workbench
from app.domain.backups import BackupKeyMissing, BackupUnavailable, StoreName, read_manifest
from app.domain.maintenance import BackupOptions, RestoreOptions
from app.ops.audit_chain import find_faults
from app.ops.backups.backup import backup
from app.ops.backups.choice import choose_from_stores
from app.ops.backups.copying import copy_out
from app.ops.backups.pipes import DamagedFile
from app.ops.backups.restore import restore
from app.ops.backups.stores import LocalStore
from app.settings import Settings
from app.vault import Vault, make_key
from tests.ops.backups.copies import make_content, put_backup
from tests.ops.maintenance.workshop import Workshop, open_workshop
from tests.s3 import LiveS3

CONTENT = make_content(100_000)


def flip(file: Path) -> None:
    """Spoil one bit, and leave the size."""
    content = bytearray(file.read_bytes())
    content[500] ^= 1
    file.write_bytes(bytes(content))


async def test_a_damaged_copy_keeps_nobody_from_restoring_a_whole_one(bench: Workbench) -> None:
    made = await backup(bench, BackupOptions())
    flip(bench.settings.backup_dir / made.result["fileName"])

    restored = await restore(bench, RestoreOptions(made.result["backup"], force=True), verify_chain=find_faults)

    assert any("has another SHA-256" in one and "The copy in s3 was restored" in one for one in restored.warnings)


async def test_where_no_copy_is_whole_the_fault_of_the_nearest_is_told(bench: Workbench, s3: LiveS3) -> None:
    made = await backup(bench, BackupOptions())
    flip(bench.settings.backup_dir / made.result["fileName"])
    s3.remove(made.result["fileName"])

    with pytest.raises(DamagedFile, match="has another SHA-256"):
        await restore(bench, RestoreOptions(made.result["backup"], force=True), verify_chain=find_faults)


@pytest.mark.parametrize("nonsense", ["{", "[]", "[" * 100_000])
async def test_a_damaged_manifest_hides_neither_the_copy_nor_the_other_backups(bench: Workbench, nonsense: str) -> None:
    older = await put_backup(bench, CONTENT, age_days=1)
    newer = await put_backup(bench, CONTENT)
    await copy_out(bench, newer)
    (bench.settings.backup_dir / newer.name).write_text(nonsense)

    settings, vault = bench.settings, bench.vault
    assert choose_from_stores(settings, vault, "").copy.manifest == newer
    assert choose_from_stores(settings, vault, str(older.id)).copy.manifest == older


async def test_without_a_word_from_a_store_only_a_backup_that_is_named_is_found(bench: Workbench) -> None:
    manifest = await put_backup(bench, CONTENT)
    away = bench.settings.model_copy(update={"backup_s3_endpoint": "http://127.0.0.1:1"})

    with pytest.raises(BackupUnavailable, match="name one to do without"):
        choose_from_stores(away, bench.vault, "")
    chosen = choose_from_stores(away, bench.vault, str(manifest.id))
    assert (chosen.copy.manifest, chosen.copy.store.name) == (manifest, StoreName.LOCAL)


async def test_the_newest_of_ours_is_taken_past_those_of_others(workshop: Workshop) -> None:
    made = await backup(workshop.bench, BackupOptions())
    store = LocalStore(workshop.bench.settings.backup_dir)
    name = next(one for one in store.list_names() if one.endswith(".manifest.json"))
    text = store.read_text(name)
    other = Vault((make_key(),))
    foreign = replace(read_manifest(json.loads(text)), key_fingerprints=other.fingerprints(), signature="")
    store.put_text(f"backup-29990101T000000Z-{'0' * 8}.manifest.json", foreign.as_text())
    store.put_text(f"backup-29990102T000000Z-{'0' * 8}.manifest.json", text.replace("license", "another", 1))
    store.put_text(f"backup-29990103T000000Z-{'0' * 8}.manifest.json", "{")

    chosen = choose_from_stores(workshop.bench.settings, workshop.bench.vault, "")

    assert str(chosen.copy.manifest.id) == made.result["backup"]


async def test_an_older_backup_never_stands_in_for_the_newest_whose_key_is_missing(workshop: Workshop) -> None:
    await backup(workshop.bench, BackupOptions())
    key = str(x25519.Identity.generate())
    encrypting: Settings = Settings.model_validate(
        {**workshop.bench.settings.model_dump(exclude_unset=True), "backup_encryption_key": key}
    )
    async with open_workshop(encrypting, workshop.url) as later:
        bench = replace(later.bench, now=lambda: workshop.bench.now().replace(hour=13))
        made = await backup(bench, BackupOptions())

    with pytest.raises(BackupKeyMissing, match="BACKUP_ENCRYPTION_KEY"):
        choose_from_stores(workshop.bench.settings, workshop.bench.vault, "")

    chosen = choose_from_stores(encrypting, workshop.bench.vault, "")
    assert str(chosen.copy.manifest.id) == made.result["backup"]
