"""Backups on the command line: rescanned and downloaded, without a server."""

from __future__ import annotations

import os
import resource
import stat
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from app.domain.backups import BackupUnavailable, Manifest
from app.ops.backups.downloads import pour, save
from app.ops.backups.stores import LocalStore
from app.vault import Vault
from tests.cli.conftest import CommandLine
from tests.ops.backups.copies import make_content, make_manifest

CONTENT = make_content(3_000_000)


def _put(folder: Path, vault: Vault) -> Manifest:
    manifest = make_manifest(vault, CONTENT)
    store = LocalStore(folder)
    store.prepare()
    (folder / manifest.file_name).write_bytes(CONTENT)
    store.put_text(manifest.name, manifest.as_text())
    return manifest


def test_a_backup_is_found_and_downloaded_into_a_file_of_our_own(
    cli: CommandLine, tmp_path: Path, vault: Vault
) -> None:
    folder = tmp_path / "data" / "backups"
    manifest = _put(folder, vault)
    (folder / "backup-foreign.manifest.json").write_text("{}")

    done = cli.json("backups", "rescan")
    assert (done["found"], done["known"], len(done["refused"])) == ([str(manifest.id)], 0, 1)
    said = cli.server.command("backups", "rescan")
    assert said.stderr.startswith(f"Not taken: {folder / 'backup-foreign.manifest.json'}: ")

    target = tmp_path / "taken.dump.zst"
    assert cli.text("backups", "download", str(manifest.id), "--to", str(target)) == ""
    assert target.read_bytes() == CONTENT
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert "is there already" in cli.refusal("backups", "download", str(manifest.id), "--to", str(target))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    cli.text("backups", "download", str(manifest.id), "--to", str(elsewhere))
    assert [one.name for one in elsewhere.iterdir()] == [manifest.file_name]


def test_a_damaged_file_is_not_left_behind(cli: CommandLine, tmp_path: Path, vault: Vault) -> None:
    manifest = _put(tmp_path / "data" / "backups", vault)
    cli.json("backups", "rescan")
    (tmp_path / "data" / "backups" / manifest.file_name).write_bytes(CONTENT[:-1] + b"x")
    target = tmp_path / "elsewhere" / "taken"
    target.parent.mkdir()

    said = cli.refusal("backups", "download", str(manifest.id), "--to", str(target))

    assert said.endswith("(BACKUP_DAMAGED)")
    assert list(target.parent.iterdir()) == []


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "elsewhere" / "taken"
    source.write_bytes(CONTENT)
    target.parent.mkdir()
    child = os.fork()
    if child == 0:
        os._exit(_save_with_little_room(source, target))

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert list(target.parent.iterdir()) == []
    with source.open("rb") as file, Path("/dev/full").open("wb", buffering=0) as full, _no_space():
        pour(file, full)


def _no_space() -> AbstractContextManager[object]:
    return pytest.raises(OSError, match="No space left")


def _save_with_little_room(source: Path, target: Path) -> int:
    """In a process that may write files of 1 MB at most; 0 when that is told as it should."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    try:
        with source.open("rb") as file:
            save(file, target)
    except BackupUnavailable as error:
        return 0 if "can't be written: File too large" in error.message else 2
    return 1
