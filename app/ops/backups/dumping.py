"""Dumping: what pg_dump says of a snapshot, at a pace that leaves the database to others, into a draft."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from app.ops.backups.contents import TableBusy, UnreadableTables
from app.ops.backups.pipes import Pace, Packed, pack
from app.ops.backups.programs import Child, ToolFailed, in_thread, started
from app.ops.backups.room import told_of_the_disk
from app.ops.backups.stores import LocalStore

LOCK_SECONDS = 10
_FORBIDDEN = re.compile(r"ERROR:\s+permission denied for ((?:\w+ )+\S+)")
_BUSY = re.compile(r"canceling statement due to (?:lock|statement) timeout")


async def dump(
    url: str,
    program: Path,
    snapshot: str,
    local: LocalStore,
    name: str,
    *,
    identity: str | None,
    rate: int | None,
    tell: Callable[[int], None],
) -> Packed:
    """Write a draft of this name; `tell` is told the bytes that pg_dump has said, in another thread.

    Raises ToolFailed, TableBusy, UnreadableTables, BackupDiskFull and BackupUnavailable.
    """
    arguments = ["--format=custom", "--compress=0", f"--snapshot={snapshot}", "--no-password"]
    arguments += [f"--lock-wait-timeout={LOCK_SECONDS * 1000}"]
    pace = Pace(rate)

    def pass_on(passed: int) -> None:
        tell(passed)
        pace.wait(passed)

    with started(program, arguments, url) as child:

        def work() -> Packed:
            with told_of_the_disk(local.folder), local.writing(name) as draft:
                packed = pack(child.stdout, draft, identity, pass_on)
                _require_success(child)
                return packed

        def stop() -> None:
            pace.stop()
            child.kill()

        return await in_thread(work, stop)


def _require_success(child: Child) -> None:
    """Wait for its end; where it failed for want of a right or a lock, say so in our words."""
    try:
        child.require_success()
    except ToolFailed as error:
        said = child.complaints()
        if found := _FORBIDDEN.search(said):
            raise UnreadableTables(
                f"pg_dump may not read the {found[1]}: grant its role pg_read_all_data, or let DATABASE_DIRECT_URL be"
                " the owner's."
            ) from error
        if _BUSY.search(said):
            raise TableBusy(
                f"Somebody kept a table locked for {LOCK_SECONDS} s, so pg_dump gave up; try again when it is free."
            ) from error
        raise
