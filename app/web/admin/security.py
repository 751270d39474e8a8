"""Security of the installation, over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BeforeValidator

from app.domain.security import Thresholds, choose_window, parse_window
from app.ops import security
from app.web.deps import Now, Transaction
from app.web.schemas.base import Moment
from app.web.schemas.security import SecuritySummaryOut
from app.web.security import Administration, CanReadOperations

router = APIRouter(prefix="/admin/security", tags=["administration"], dependencies=[Administration])


def _window(value: object) -> object:
    return parse_window(value) if isinstance(value, str) else value


Length = Annotated[
    timedelta | None,
    BeforeValidator(_window, json_schema_input_type=str),
    Query(description="How far back, from 5m to 7d: 90m, 24h, 7d; 24h when left out."),
]


@router.get("/summary")
async def show_security_summary(
    caller: CanReadOperations,
    tx: Transaction,
    now: Now,
    window: Length = None,
    since: Annotated[Moment | None, Query(description="Instead of `window`: from when.")] = None,
    until: Annotated[Moment | None, Query(description="Until when; now when left out.")] = None,
) -> SecuritySummaryOut:
    """Show security events and odd validations of a window, with those that lead."""
    chosen = choose_window(window, since, until, now)
    return SecuritySummaryOut.of(await security.summarize(tx, chosen, Thresholds()))
