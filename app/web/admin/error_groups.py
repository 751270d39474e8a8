"""Errors of the installation, over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from app.domain.error_groups import choose_window
from app.ops import error_groups
from app.web.deps import Now, Transaction
from app.web.schemas.base import Moment
from app.web.schemas.error_groups import ErrorSummaryOut
from app.web.security import Administration, CanReadOperations

router = APIRouter(prefix="/admin/errors", tags=["administration"], dependencies=[Administration])


@router.get("")
async def show_errors(
    caller: CanReadOperations,
    tx: Transaction,
    now: Now,
    since: Annotated[Moment | None, Query(description="From when; a day before the end when left out.")] = None,
    until: Annotated[Moment | None, Query(description="Until when; now when left out.")] = None,
) -> ErrorSummaryOut:
    """Show the error lines of a window, those that are alike together, most first."""
    return ErrorSummaryOut.of(await error_groups.summarize(tx, choose_window(since, until, now)))
