"""What is kept how long, and the archives of what was removed, over HTTP."""

from __future__ import annotations

from fastapi import APIRouter

from app.ops.maintenance import archives, retention
from app.web.deps import Runtime, Transaction, WantedPage
from app.web.schemas.base import PageOut
from app.web.schemas.retention import ArchiveOut, RetainedOut, RetentionOut
from app.web.security import Administration, CanReadOperations

router = APIRouter(tags=["administration"], dependencies=[Administration])


@router.get("/admin/retention")
async def show_retention(caller: CanReadOperations, runtime: Runtime, tx: Transaction) -> RetentionOut:
    """Show everything that grows, how long it is kept, and how much there is."""
    found = await retention.show(tx, runtime.settings)
    return RetentionOut(kinds=[RetainedOut.of(rule, stock) for rule, stock in found])


@router.get("/admin/archives")
async def list_archives(caller: CanReadOperations, tx: Transaction, page: WantedPage) -> PageOut[ArchiveOut]:
    """List the archives on record, newest first."""
    found = await archives.list_page(tx, page)
    items = [ArchiveOut.model_validate(archive) for archive in found.items]
    return PageOut[ArchiveOut](items=items, next_cursor=found.next_cursor)
