"""Reports over HTTP: as JSON for programs, as text and as a page for people."""

from __future__ import annotations

import base64
import hashlib
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, PlainTextResponse, Response

from app.domain.reports import Period, as_document
from app.ops.overview.rendering import STYLES, render
from app.ops.overview.reports import compile_report
from app.web.deps import Now, Runtime
from app.web.schemas.reports import ReportOut
from app.web.security import Administration, CanReadOperations

router = APIRouter(prefix="/admin/reports", tags=["administration"], dependencies=[Administration])


class ReportFormat(StrEnum):
    """What a report is asked for as."""

    JSON = "json"
    TEXT = "text"
    HTML = "html"


def _hash(style: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"


POLICY = (
    f"default-src 'none'; style-src 'unsafe-hashes' {' '.join(map(_hash, STYLES.values()))}; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
"""Nothing is loaded or run, and no style counts but ours: `unsafe-hashes` lets these very attributes be used."""


@router.get(
    "/{period}",
    response_model=ReportOut,
    responses={200: {"content": {"text/plain": {}, "text/html": {}}}},
)
async def show_report(
    caller: CanReadOperations,
    runtime: Runtime,
    now: Now,
    period: Period,
    form: Annotated[ReportFormat, Query(alias="format", description="JSON, text, or an HTML page.")] = (
        ReportFormat.JSON
    ),
) -> ReportOut | Response:
    """Look at everything of a day, week, month or quarter; it takes ten seconds at most."""
    report = await compile_report(runtime.installation(), period, now=now)
    if form is ReportFormat.JSON:
        return ReportOut.model_validate(as_document(report))
    rendered = render(report)
    if form is ReportFormat.TEXT:
        return PlainTextResponse(rendered.text)
    return HTMLResponse(rendered.html, headers={"Content-Security-Policy": POLICY})
