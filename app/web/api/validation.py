"""The hot path: client programs ask whether a license may be used."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response

from app.coalescer import LineClosed, LineFull, Outage
from app.domain.errors import DatabaseUnavailable, Overloaded, Unavailable
from app.domain.licenses import ValidationCode, ValidationQuestion, Verdict
from app.runtime import Runtime as RuntimeState
from app.services import validation
from app.telemetry import metrics
from app.telemetry.logging import request_id_var
from app.telemetry.values import Own
from app.web import rate_limits
from app.web.client_address import client_ip
from app.web.deps import Runtime
from app.web.json_body import JsonRoute
from app.web.middleware.request_context import add_log_fields
from app.web.schemas.validation import ValidateLicense, VerdictOut

SEAT_WAIT_SECONDS = 1.5

EVENT = Own("license validation")
OUTCOMES = {code: Own(f"License validation {code}") for code in ValidationCode}

router = APIRouter(tags=["validation"], route_class=JsonRoute)


@router.post("/api/licenses/validate", response_model=VerdictOut)
async def validate_license(request: Request, runtime: Runtime, wish: ValidateLicense) -> Response:
    """Tell whether a license may be used, now, for this product, on this machine.

    Needs no credential. Always 200 for a well-formed question, whatever the answer; the answer is recorded before it
    is sent. A new machine takes a free seat.
    """
    question = wish.question(client_ip(request.scope), request_id_var.get())
    await rate_limits.charge_validation(request.scope, runtime.limiter, question.license_key_hash)
    verdict = await _answer(runtime, question)
    is_found = verdict.code is not ValidationCode.NOT_FOUND
    await rate_limits.learn_from_verdict(request.scope, runtime.limiter, question.license_key_hash, is_found=is_found)

    metrics.validations.labels(verdict.code).inc()
    _tell_log(request, verdict)
    return Response(VerdictOut.of(verdict).model_dump_json(by_alias=True), media_type="application/json")


async def _answer(runtime: RuntimeState, question: ValidationQuestion) -> Verdict:
    try:
        verdict = await runtime.line.ask(question)
    except LineFull as error:
        raise Overloaded from error
    except Outage as error:
        raise DatabaseUnavailable from error
    except LineClosed as error:
        raise Unavailable("The server is about to stop; ask another one or try again in a moment.") from error
    if not verdict.wants_seat:
        return verdict
    return await _take_seat(runtime, question)


async def _take_seat(runtime: RuntimeState, question: ValidationQuestion) -> Verdict:
    try:
        async with asyncio.timeout(SEAT_WAIT_SECONDS):
            await runtime.seat_takers.acquire()
    except TimeoutError as error:
        raise Overloaded("Many new machines ask at once; try again in a moment.") from error
    try:
        async with runtime.database.transaction() as tx:
            return await validation.take_seat(tx, question, now=runtime.now())
    finally:
        runtime.seat_takers.release()


def _tell_log(request: Request, verdict: Verdict) -> None:
    license_id = None if verdict.license is None else verdict.license.license_id
    add_log_fields(
        request.scope,
        event=EVENT,
        outcome=OUTCOMES[verdict.code],
        license_id=license_id,
    )
