"""Backups over HTTP, to take away: in pieces, from whichever store has them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import BinaryIO
from uuid import UUID

from fastapi import APIRouter

from app.domain.backups import Manifest
from app.ops.backups.downloads import begin_download
from app.ops.backups.programs import in_thread
from app.ops.backups.reading import open_backup_file
from app.ops.backups.stores import open_stores
from app.web.deps import Now, Runtime
from app.web.json_body import JsonRoute
from app.web.security import Administration, CanRestore, RecentlyProven
from app.web.streams import BoundedStream

router = APIRouter(prefix="/admin/backups", tags=["backups"], route_class=JsonRoute, dependencies=[Administration])

PIECE_BYTES = 1024 * 1024


class FileStream(BoundedStream):
    """A file; one that turns out to be damaged ends before its Content-Length, which no client takes for whole."""

    media_type = "application/octet-stream"


@router.get("/{backup_id}/download", response_class=FileStream)
async def download_backup(
    caller: CanRestore, proven: RecentlyProven, runtime: Runtime, now: Now, backup_id: UUID
) -> FileStream:
    """Download a backup's file: the whole database; that it was is recorded."""
    async with runtime.database.transaction() as tx:
        manifest = await begin_download(tx, caller, backup_id, now=now)
    file = await asyncio.to_thread(lambda: open_backup_file(open_stores(runtime.settings), manifest))
    return FileStream(_pieces(file), headers=_headers(manifest))


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    """The file, each piece read in a thread; closed when all is sent or the client has hung up."""
    with file:
        while piece := await in_thread(lambda: file.read(PIECE_BYTES), _let_it_end):
            yield piece


def _let_it_end() -> None:
    """A piece that is being read takes no longer than a store's patience."""


def _headers(manifest: Manifest) -> dict[str, str]:
    digest = base64.b64encode(bytes.fromhex(manifest.sha256)).decode()
    return {
        "Content-Length": str(manifest.bytes),
        "Content-Disposition": f'attachment; filename="{manifest.file_name}"',
        "Repr-Digest": f"sha-256=:{digest}:",
        "Cache-Control": "no-store",
    }
