"""Scratch databases: made beside the live one, filled from a backup, and never left behind."""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import BinaryIO, cast
from uuid import UUID

from app.db import scratch
from app.db.direct import direct_connection
from app.db.queries import restored
from app.db.scratch import PLAIN, DatabaseShape, address_of
from app.db.workbench import Workbench
from app.domain.backups import BackupUnavailable, Manifest, ScratchDatabaseRefused
from app.domain.errors import DatabaseUnavailable
from app.domain.runs import Progress, Tell
from app.domain.words import ByteCount
from app.ops.backups.copies import Copy
from app.ops.backups.programs import Child, in_thread
from app.ops.backups.unpacking import grants_of, restore_into
from app.settings import Settings
from app.telemetry.logging import log

LONGEST_NAME = 63
"""Bytes that PostgreSQL keeps of a name."""
FILLING_SHARE = 95.0
ROOM = 1.2
"""So many times the size that the database had; indexes are packed anew, and the log of what is written needs some."""

logger = logging.getLogger(__name__)


class NoRoom(BackupUnavailable):
    """There is not enough room on the disk for the restored database: make room, then do it again."""

    code = "NO_ROOM"


class Purpose(StrEnum):
    """What a database beside the live one is for."""

    VERIFY = "verify"
    RESTORE = "restore"


def scratch_name(live: str, purpose: Purpose, run_id: UUID) -> str:
    """The name of a run's scratch database: the live one's, what it is for, and the last digits of the run's id."""
    return _prefix(live, purpose) + run_id.hex[-12:]


async def require_may_create(url: str) -> None:
    """Raise ScratchDatabaseRefused, with the statement that gives the right, where databases can't be made."""
    async with scratch.beside(url) as direct:
        await scratch.require_right(direct)


async def make_database(url: str, name: str, like: DatabaseShape | None) -> None:
    """Make an empty database on the cluster of an address, as plain as any when there is nothing to be like."""
    async with scratch.beside(url) as direct:
        await scratch.create(direct, name, like or PLAIN)


async def drop_database(url: str, name: str) -> None:
    """Drop a database of a run that has ended; whoever is still in it, such as a program it has left, is thrown out."""
    async with scratch.beside(url) as direct:
        await scratch.drop(direct, name, is_forced=True)


async def sweep(url: str, live: str, purpose: Purpose) -> list[str]:
    """Drop what dead runs have left, and give its names; where somebody is in a database, it is at work, and stays."""
    prefix = _prefix(live, purpose)
    async with scratch.beside(url) as direct:
        found = await scratch.list_databases(direct, prefix)
        left = [name for name in found if re.fullmatch("[0-9a-f]{12}", name.removeprefix(prefix))]
        return [name for name in left if await scratch.drop(direct, name, is_forced=False)]


async def clean_up(bench: Workbench, url: str, purpose: Purpose) -> None:
    """Drop what the bench's run has left, which is dead, and what others have before it."""
    live = bench.direct.connection.info.dbname
    await drop_database(url, scratch_name(live, purpose, bench.run_id))
    await sweep(url, live, purpose)


async def sweep_trials(live_url: str, trial_url: str | None) -> None:
    """Drop what trials have left that were stopped before they could; on the own cluster and on that for trials."""
    async with direct_connection(live_url) as direct:
        live = direct.connection.info.dbname
    for url in {live_url, trial_url or live_url}:
        await sweep(url, live, Purpose.VERIFY)


def require_room(settings: Settings, manifest: Manifest, advice: str) -> None:
    """Raise NoRoom when the embedded PostgreSQL's disk can't hold the database once more, and something beside it.

    The advice ends the sentence. Of another server nobody here knows the disk. Blocks.
    """
    if settings.database_url is not None:
        return
    wanted, free = int(manifest.database_bytes * ROOM), shutil.disk_usage(settings.data_dir).free
    if free < wanted:
        raise NoRoom(
            f"DATA_DIR has {ByteCount(free)} free, and the restored database needs {ByteCount(wanted)}: {advice}."
        )


@asynccontextmanager
async def scratch_database(url: str, name: str, like: DatabaseShape | None) -> AsyncIterator[str]:
    """A database meanwhile, by its address; a session of ours stays in it, which keeps others from sweeping it away.

    Where the cluster can't make one like the live one, as another machine's may not, a plain one will do.
    """
    try:
        await _make_alike(url, name, like)
        async with direct_connection(address_of(url, name)):
            yield address_of(url, name)
    finally:
        try:
            await drop_database(url, name)
        except DatabaseUnavailable as error:
            sentence = "A scratch database could not be dropped; the next run does it"
            log(logger, logging.WARNING, sentence, event="scratch_database_left", name=name, reason=error.message)


async def fill(url: str, copy: Copy, entries: Sequence[str], tell: Tell) -> None:
    """Restore a copy whose file was checked into an empty database, and gather the planner's statistics.

    Roles that the backup grants something to, and that this cluster does not have, are passed over with all grants.
    Raises ToolFailed, ToolMissing and DatabaseUnavailable.
    """
    manifest, children = copy.manifest, list[Child]()
    async with direct_connection(url) as direct:
        with direct.translated():
            major = max(direct.major, _major(manifest))
            grants = await in_thread(lambda: _read_grants(copy, entries, children), lambda: _kill(children))
            has_roles = await restored.can_grant(direct, grants)

    def work() -> None:
        with copy.open() as source:
            told = cast(BinaryIO, _Told(source, manifest.bytes, tell))
            restore_into(url, told, entries, copy.identities, major, children, has_roles=has_roles)

    await in_thread(work, lambda: _kill(children))
    tell(Progress(FILLING_SHARE, "analyzing"))
    async with direct_connection(url) as direct:
        with direct.translated():
            await restored.analyze(direct)


async def _make_alike(url: str, name: str, like: DatabaseShape | None) -> None:
    await require_may_create(url)
    try:
        await make_database(url, name, like)
    except ScratchDatabaseRefused:
        if like is None:
            raise
        await make_database(url, name, None)


def _prefix(live: str, purpose: Purpose) -> str:
    """A long name is cut, and told apart by its hash from others that are cut to the same."""
    suffix = f"_{purpose}_"
    room = LONGEST_NAME - len(suffix) - 12
    if len(live.encode()) > room:
        digest = hashlib.sha256(live.encode()).hexdigest()[:8]
        live = live.encode()[: room - 9].decode(errors="ignore") + "_" + digest
    return live + suffix


def _read_grants(copy: Copy, entries: Sequence[str], children: list[Child]) -> str:
    with copy.open() as source:
        return grants_of(source, entries, copy.identities, children)


def _kill(children: Sequence[Child]) -> None:
    for child in children:
        child.kill()


def _major(manifest: Manifest) -> int:
    return int(manifest.tool_version.partition(".")[0])


class _Told:
    """What is read passes through here, and tells how far it is."""

    def __init__(self, source: BinaryIO, size: int, tell: Tell) -> None:
        self._source = source
        self._size = max(size, 1)
        self._tell = tell
        self._read = 0

    def read(self, size: int = -1) -> bytes:
        chunk = self._source.read(size)
        self._read += len(chunk)
        self._tell(Progress(FILLING_SHARE * min(1.0, self._read / self._size), "restoring"))
        return chunk
