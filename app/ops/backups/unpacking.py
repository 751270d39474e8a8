"""Unpacking: what is in a backup's file, and into a database with it, through pg_restore alone.

pg_restore reads the custom format; a script for psql could hold commands of the dump's author (CVE-2025-8714).
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from app.domain.backups import BackupRefused
from app.ops.backups.pipes import unpack
from app.ops.backups.programs import Child, ToolFailed, require_newest_tool, require_tool, started

OUR_TABLE = "alembic_version"
_SKIPPED = re.compile(r"^\d+; \d+ \d+ (EXTENSION|COMMENT - EXTENSION) ")
"""Extensions belong to the server: the database they are restored into has its own, or none."""
_GRANTS = re.compile(r"^\d+; \d+ \d+ (ACL|DEFAULT ACL) ")
_COMPLAINT = re.compile(r"^pg_restore: error: (.*)$", re.MULTILINE)
_HARMLESS = re.compile(r'unrecognized configuration parameter "transaction_timeout"')
"""Later programs set what only later servers know."""


def list_entries(source: BinaryIO, identities: Sequence[str] | None) -> list[str]:
    """The lines of the file's list of contents; raises DamagedFile and ToolFailed. Blocks."""
    said = _ask(source, identities, ["--list"], [])
    return [line for line in said.splitlines() if line and not line.startswith(";")]


def require_tables(entries: Sequence[str]) -> None:
    """Raise BackupRefused for a dump of something else, or without data."""
    if not any(f" TABLE DATA public {OUR_TABLE} " in entry for entry in entries):
        raise BackupRefused("The backup holds no license server's tables.")


def grants_of(source: BinaryIO, entries: Sequence[str], identities: Sequence[str] | None, child_is: list[Child]) -> str:
    """The statements of a file that grant and revoke; raises DamagedFile and ToolFailed. Blocks."""
    wanted = [entry for entry in entries if _GRANTS.match(entry)]
    if not wanted:
        return ""
    with _listed(wanted) as listed:
        return _ask(source, identities, [f"--use-list={listed}", "--no-owner"], child_is)


def restore_into(
    url: str,
    source: BinaryIO,
    entries: Sequence[str],
    identities: Sequence[str] | None,
    major: int,
    child_is: list[Child],
    *,
    has_roles: bool,
) -> None:
    """Fill an empty database; raises ToolFailed when anything could not be restored. Blocks.

    `major` is the version of the server or of the program that wrote the file, whichever is later. The child is put
    into `child_is`, so that another thread can kill it. Without the roles that it names, nobody is granted anything.
    """
    program, _ = require_tool("pg_restore", major)
    wanted = [entry for entry in entries if not _SKIPPED.match(entry)]
    with _listed(wanted) as listed:
        arguments = ["--no-owner", f"--use-list={listed}", "--no-password", "--dbname="]
        arguments += [] if has_roles else ["--no-privileges"]
        with started(program, arguments, url) as child:
            child_is.append(child)
            _feed(child, source, identities)
            child.stdout.read()
            child.process.wait()
            _require_no_complaint(child)


def _ask(source: BinaryIO, identities: Sequence[str] | None, arguments: Sequence[str], child_is: list[Child]) -> str:
    """What pg_restore says of a file without a database: into a file, for it reads no more while a full pipe waits."""
    program, _ = require_newest_tool("pg_restore")
    with tempfile.NamedTemporaryFile(suffix=".said") as said:
        with started(program, [*arguments, f"--file={said.name}"]) as child:
            child_is.append(child)
            _feed(child, source, identities)
            child.require_success()
        return Path(said.name).read_text()


@contextmanager
def _listed(entries: Sequence[str]) -> Iterator[str]:
    """The name of a file that lists these entries."""
    with tempfile.NamedTemporaryFile("w", suffix=".list") as listed:
        listed.write("\n".join(entries) + "\n")
        listed.flush()
        yield listed.name


def _require_no_complaint(child: Child) -> None:
    said = child.complaints()
    wrong = [one for one in _COMPLAINT.findall(said) if not _HARMLESS.search(one)]
    if wrong:
        raise ToolFailed(f"pg_restore could not restore everything: {wrong[0]}")
    if child.process.returncode not in (0, 1):
        child.require_success()


def _feed(child: Child, source: BinaryIO, identities: Sequence[str] | None) -> None:
    """Write the file's content to the child, which may want no more before its end."""
    try:
        unpack(source, child.stdin, identities)
        child.stdin.close()
    except OSError:  # BrokenPipeError, also in what age makes of it: the child's end tells whether it has failed
        pass
