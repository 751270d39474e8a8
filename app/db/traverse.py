"""Lets one other account reach a folder below private ones, without opening them to anybody else.

As root the database runs as an account of its own, and a folder such as /root (0700) is in its way. `chmod
o+x` would open it to every account of the machine. A POSIX ACL entry `u:<uid>:--x` lets exactly that
account pass through it: not list it, not read from it.

The kernel keeps an ACL in one extended attribute: a 4 byte version, then entries of 8 bytes (tag,
permissions, id), sorted by tag and id (acl(5), linux/posix_acl_xattr.h). Rights of named users and groups
count only as far as the MASK entry allows, so a mask that grows must not wake rights that it kept asleep:
they are cut to the old mask first.
"""

import errno
import logging
import os
import stat
import struct
from pathlib import Path

from app.db.programs import WAY_OUT, Account, EmbeddedPostgresError

READ = 4
SEARCH = 1

USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
NOBODY_NAMED = 0xFFFFFFFF

ATTRIBUTE = "system.posix_acl_access"
HEADER = struct.Struct("<I")
ENTRY = struct.Struct("<HHI")
VERSION = 2

Acl = dict[tuple[int, int], int]
"""Permissions (rwx bits) by tag and id."""

logger = logging.getLogger("app.db.embedded")


def open_way(account: Account, folder: Path) -> None:
    """Let the account pass through every folder from the root down to this one that stops it."""
    for step in [*reversed(folder.parents), folder]:
        _grant(account, step, SEARCH)


def open_tree(account: Account, folder: Path) -> None:
    """Let the account read a folder with all it holds, which a strict umask at installation keeps closed."""
    if _allows(account, folder, READ | SEARCH):
        return
    # From the leaves up: the test above says "open" only after everything below is.
    for path, _, files in os.walk(folder, topdown=False):
        for name in files:
            file = Path(path, name)
            if not file.is_symlink():
                is_program = bool(file.stat().st_mode & stat.S_IXUSR)
                _grant(account, file, READ | SEARCH if is_program else READ)
        _grant(account, Path(path), READ | SEARCH)


def _grant(account: Account, path: Path, rights: int) -> None:
    if _allows(account, path, rights):
        return
    acl = _with_entry(_read_acl(path), account.uid, rights)
    try:
        os.setxattr(path, ATTRIBUTE, _pack(acl))
    except OSError as error:
        letters = ("r" if rights & READ else "") + "x"
        raise EmbeddedPostgresError(
            f"{path} is closed to {account.name}, the account PostgreSQL runs as, and an access entry for it "
            f"alone could not be made ({error.strerror}): run `chmod o+{letters} {path}`, use a DATA_DIR "
            f"outside of it, or {WAY_OUT}."
        ) from error
    logger.info(
        "access granted to the account of the embedded PostgreSQL",
        extra={"path": str(path), "account": account.name, "rights": rights},
    )


def _allows(account: Account, path: Path, rights: int) -> bool:
    """Decide as acl(5) does whether the account has these rights."""
    status = path.stat()
    acl = _read_acl(path)
    mask = acl.get((MASK, NOBODY_NAMED), 7)

    if status.st_uid == account.uid:
        return _covers(acl[USER_OBJ, NOBODY_NAMED], rights)
    if (USER, account.uid) in acl:
        return _covers(acl[USER, account.uid] & mask, rights)
    groups = [acl[GROUP_OBJ, NOBODY_NAMED]] if status.st_gid == account.gid else []
    groups += [acl[GROUP, account.gid]] if (GROUP, account.gid) in acl else []
    if groups:
        return any(_covers(permissions & mask, rights) for permissions in groups)
    return _covers(acl[OTHER, NOBODY_NAMED], rights)


def _covers(permissions: int, rights: int) -> bool:
    return permissions & rights == rights


def _with_entry(acl: Acl, uid: int, rights: int) -> Acl:
    """Add rights for one user and keep what everybody else effectively has."""
    mask = acl.get((MASK, NOBODY_NAMED), 7)
    changed = {
        (tag, who): permissions & mask if tag in (USER, GROUP_OBJ, GROUP) else permissions
        for (tag, who), permissions in acl.items()
    }
    changed[USER, uid] = changed.get((USER, uid), 0) | rights
    needed = 0
    for (tag, _), permissions in changed.items():
        needed |= permissions if tag in (USER, GROUP_OBJ, GROUP) else 0
    changed[MASK, NOBODY_NAMED] = needed
    return changed


def _read_acl(path: Path) -> Acl:
    """Read the access entries of a file or folder; without an ACL they are its mode."""
    try:
        packed = os.getxattr(path, ATTRIBUTE)
    except OSError as error:
        if error.errno not in (errno.ENODATA, errno.ENOTSUP):
            raise
        mode = path.stat().st_mode
        bits = {USER_OBJ: mode >> 6 & 7, GROUP_OBJ: mode >> 3 & 7, OTHER: mode & 7}
        return {(tag, NOBODY_NAMED): permissions for tag, permissions in bits.items()}
    return {(tag, who): permissions for tag, permissions, who in ENTRY.iter_unpack(packed[HEADER.size :])}


def _pack(acl: Acl) -> bytes:
    entries = (ENTRY.pack(tag, permissions, who) for (tag, who), permissions in sorted(acl.items()))
    return HEADER.pack(VERSION) + b"".join(entries)
