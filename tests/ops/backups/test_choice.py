"""Which backup is restored where there is no catalog."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from pyrage import x25519

from app.domain.backups import BackupKeyMissing, read_manifest
from app.domain.maintenance import BackupOptions
from app.ops.backups.backup import backup
from app.ops.backups.choice import choose_from_stores
from app.ops.backups.stores import LocalStore
from app.settings import Settings
from app.vault import Vault, make_key
from tests.ops.maintenance.workshop import Workshop, open_workshop


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
