"""One account passes through private folders; nobody else gains anything."""

import os
from pathlib import Path

import pytest

from app.db import traverse
from app.db.programs import Account
from app.db.traverse import (
    GROUP,
    GROUP_OBJ,
    MASK,
    NOBODY_NAMED,
    OTHER,
    USER,
    USER_OBJ,
    Acl,
    open_tree,
    open_way,
)

GUEST = Account(60001, 60001, "guest")
STRANGER = Account(60002, 60002, "stranger")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another account")


def can_read(account: Account, path: Path) -> bool:
    """Ask the kernel, as that account."""
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(account.gid)
        os.setuid(account.uid)
        os._exit(0 if os.access(path, os.R_OK) else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.fixture
def private(private_folder: Path) -> Path:
    """A closed folder that holds a readable file."""
    folder = private_folder / "private"
    folder.mkdir(mode=0o700)
    (folder / "note").write_text("hello")
    return folder


def test_only_the_account_passes(private: Path) -> None:
    open_way(GUEST, private)

    assert can_read(GUEST, private / "note")
    assert not can_read(GUEST, private)
    assert not can_read(STRANGER, private / "note")


def test_folder_that_is_open_already_is_not_touched(private_folder: Path) -> None:
    folder = private_folder / "open"
    folder.mkdir(mode=0o755)

    open_way(GUEST, folder)

    assert os.listxattr(folder) == []


def test_rights_that_the_mask_kept_asleep_stay_asleep(private: Path) -> None:
    acl: Acl = {
        (USER_OBJ, NOBODY_NAMED): 7,
        (USER, STRANGER.uid): 7,
        (GROUP_OBJ, NOBODY_NAMED): 7,
        (GROUP, STRANGER.gid): 5,
        (MASK, NOBODY_NAMED): 0,
        (OTHER, NOBODY_NAMED): 0,
    }
    os.setxattr(private, traverse.ATTRIBUTE, traverse._pack(acl))

    open_way(GUEST, private)

    assert can_read(GUEST, private / "note")
    assert not can_read(STRANGER, private / "note")


def test_two_accounts_may_pass_one_folder(private: Path) -> None:
    open_way(GUEST, private)
    open_way(STRANGER, private)

    assert can_read(GUEST, private / "note")
    assert can_read(STRANGER, private / "note")


def test_closed_installation_becomes_readable_to_the_account_alone(private: Path) -> None:
    (private / "bin").mkdir(mode=0o700)
    (private / "bin" / "postgres").touch(mode=0o700)

    open_tree(GUEST, private)
    open_way(GUEST, private)

    assert can_read(GUEST, private / "bin" / "postgres")
    assert os.access(private / "bin" / "postgres", os.X_OK)
    assert not can_read(STRANGER, private / "bin" / "postgres")
