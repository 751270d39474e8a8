"""What a database holds, table by table: slowly, so that others are not disturbed, and in one snapshot."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from app.db.direct import DirectConnection
from app.db.queries import content
from app.domain.backups import TableContent

RESTED_SHARE = 0.5
"""The share of the time at which the database rests between two pieces."""

TellTable = Callable[[float, str], None]
"""Is told which share of all pages was looked at, and the table at work."""


async def read_contents(
    direct: DirectConnection, tell: TellTable, *, rested_share: float = RESTED_SHARE
) -> tuple[TableContent, ...]:
    """Rows and checksum of every table; within a transaction that is one snapshot it is one moment's content."""
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
