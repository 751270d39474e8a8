"""What a database holds, table by table: slowly, so that others are not disturbed, and in one snapshot."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from app.db.direct import DirectConnection
from app.db.queries import content
from app.domain.backups import BackupUnavailable, TableContent

RESTED_SHARE = 0.5
"""The share of the time at which the database rests between two pieces."""

NAMED = 5
"""So many of what is in the way are named."""


class UnreadableTables(BackupUnavailable):
    """The role of the run's own session may not read all that belongs into a backup: grant it pg_read_all_data."""

    code = "BACKUP_UNREADABLE_TABLES"


class TableBusy(BackupUnavailable):
    """Somebody keeps a table locked, or changes tables, for longer than a backup waits; try again later."""

    code = "BACKUP_TABLE_BUSY"


class TableGone(TableBusy):
    """A table was dropped while the backup began, which begins anew then."""

    code = "BACKUP_TABLE_GONE"


TellTable = Callable[[float, str], None]
"""Is told which share of all pages was looked at, and the table at work."""


async def hold_tables(direct: DirectConnection) -> None:
    """Within a transaction: nobody drops or rewrites a table that belongs into a backup, until it ends.

    Raises UnreadableTables, and TableBusy and TableGone with the table's name.
    """
    unreadable = await content.list_unreadable(direct)
    if unreadable:
        role = await content.read_role(direct)
        raise UnreadableTables(
            f"The role {role} may not read {_some(unreadable)}: GRANT pg_read_all_data TO {role}, or let"
            " DATABASE_DIRECT_URL be the owner's."
        )
    for name in await content.list_names(direct):
        lock = await content.lock_table(direct, name)
        if lock is content.Lock.BUSY:
            raise TableBusy(f"Somebody keeps {name} locked; try again when it is free.")
        if lock is content.Lock.GONE:
            raise TableGone(f"The table {name} was dropped while the backup began; try again.")


async def read_contents(
    direct: DirectConnection, tell: TellTable, *, rested_share: float = RESTED_SHARE
) -> tuple[TableContent, ...]:
    """Rows and checksum of every table; within a transaction that is one snapshot it is one moment's content."""
    await content.fix_formats(direct)
    tables = await content.list_tables(direct)
    all_pages = sum(table.pages for table in tables) or 1
    done, found = 0, []
    for table in tables:
        sums = content.Content()
        for since in range(0, table.pages + content.PIECE_PAGES, content.PIECE_PAGES):
            tell(min(1.0, (done + since) / all_pages), table.name)
            began_at = time.perf_counter()
            await content.add_piece(direct, table, since, sums)
            await asyncio.sleep((time.perf_counter() - began_at) * rested_share / (1 - rested_share))
        done += table.pages
        found.append(TableContent(table.name, sums.rows, sums.checksum))
    return tuple(found)


def _some(names: Sequence[str]) -> str:
    others = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {others} more" if others > 0 else "")
