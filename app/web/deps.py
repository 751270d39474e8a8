"""What handlers ask for: the runtime, a transaction, the time, a page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query, Request

from app.db.postbox import Postbox as PostboxState
from app.db.session import Session
from app.domain.errors import MailNotConfigured
from app.domain.pages import DEFAULT_LIMIT, MAX_LIMIT, PageRequest
from app.runtime import Runtime as RuntimeState


def _runtime(request: Request) -> RuntimeState:
    runtime: RuntimeState = request.app.state.runtime
    return runtime


Runtime = Annotated[RuntimeState, Depends(_runtime)]


async def _transaction(runtime: Runtime) -> AsyncIterator[Session]:
    async with runtime.database.transaction() as session:
        yield session


Transaction = Annotated[Session, Depends(_transaction, scope="function")]
"""One request is one transaction; the function scope commits it before the answer is sent."""


def _now(runtime: Runtime) -> datetime:
    return runtime.now()


Now = Annotated[datetime, Depends(_now)]


def _postbox(runtime: Runtime) -> PostboxState:
    if runtime.postbox is None:
        raise MailNotConfigured
    return runtime.postbox


Postbox = Annotated[PostboxState, Depends(_postbox)]
"""For what cannot be done without mail; raises MailNotConfigured."""


def _page(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many items at most.")] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(max_length=300, description="`nextCursor` of the page before.")] = None,
) -> PageRequest:
    return PageRequest(limit, cursor)


WantedPage = Annotated[PageRequest, Depends(_page)]
