"""The events of a run as a stream: how far it is, as long as somebody watches."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from fastapi.sse import format_sse_event

from app.domain.errors import Overloaded, Unavailable
from app.domain.permissions import Permission
from app.domain.runs import UNDER_WAY, RunNotFound
from app.runner import watch
from app.runtime import Runtime as RuntimeState
from app.web.deps import Runtime
from app.web.schemas.runs import ListedRunOut, RunOut
from app.web.security import CanReadOperations, is_still_permitted
from app.web.streams import BoundedStream

HEADERS = {"X-Accel-Buffering": "no"}
"""nginx passes each event on as it comes."""

HEARTBEAT = format_sse_event(comment="still watching")
STOPPING = format_sse_event(comment="this server stops, connect again")
LONG_ENOUGH = format_sse_event(comment="this stream was long enough, connect again")
NOT_PERMITTED = format_sse_event(comment="the credential has ended")
GONE = format_sse_event(comment="the run is no longer on record")


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between looks at the run, between signs of life, between looks at the credential; and of the whole."""

    look: float = 0.5
    heartbeat: float = 15.0
    credential: float = 30.0
    longest: float = 3600.0


PACE = Pace()


async def _place(caller: CanReadOperations, runtime: Runtime) -> AsyncIterator[None]:
    if runtime.watchers.locked():
        raise Overloaded("Too many watch runs here already; ask for the run itself now and then.")
    async with runtime.watchers:
        yield


Place = Annotated[None, Depends(_place)]
"""One of the places for those who watch, until the answer has ended; raises Overloaded. The caller is known before."""


class EventStream(BoundedStream):
    """Server-sent events."""

    media_type = "text/event-stream"


def stream(request: Request, runtime: RuntimeState, run_id: UUID, pace: Pace = PACE) -> EventStream:
    """The answer that tells of the run until it ends, the server stops or the caller may no longer look."""

    async def may_look() -> bool:
        return await is_still_permitted(request, runtime, Permission.OPS_READ)

    return EventStream(events_of(runtime, run_id, may_look, pace), headers=HEADERS)


async def events_of(
    runtime: RuntimeState, run_id: UUID, may_look: Callable[[], Awaitable[bool]], pace: Pace
) -> AsyncIterator[bytes]:
    """`progress` now and with each change, `finished` at the end, and comments: signs of life and why it ends early."""
    began_at = told_at = asked_at = time.monotonic()
    with suppress(RunNotFound):
        async with aclosing(watch(runtime, run_id, every=pace.look)) as looks:
            async for run in looks:
                now = time.monotonic()
                if run is not None or now - told_at >= pace.heartbeat:
                    yield HEARTBEAT if run is None else _event("progress", ListedRunOut.of(run))
                    told_at = now
                if run is not None and run.status not in UNDER_WAY:
                    yield _event("finished", RunOut.of(run))
                    return
                if runtime.is_draining:
                    yield STOPPING
                    return
                if now - began_at >= pace.longest:
                    yield LONG_ENOUGH
                    return
                if now - asked_at >= pace.credential:
                    asked_at = now
                    if not await _may_still_look(may_look):
                        yield NOT_PERMITTED
                        return
        return
    yield GONE


async def _may_still_look(may_look: Callable[[], Awaitable[bool]]) -> bool:
    try:
        return await may_look()
    except Unavailable:
        return True  # nobody knows; the run is not told of either while the database is away


def _event(name: str, run: ListedRunOut) -> bytes:
    return format_sse_event(event=name, data_str=run.model_dump_json(by_alias=True))
