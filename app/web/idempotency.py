"""Requests that may be sent twice: the same Idempotency-Key gets the same answer and does nothing again."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel, StringConstraints

from app.db.session import Session
from app.domain.permissions import Principal
from app.runtime import Runtime as RuntimeState
from app.services import idempotency
from app.web.deps import Now, Runtime, Transaction
from app.web.security import Caller

MEDIA_TYPE = "application/json"

IdempotencyKey = Annotated[
    Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")] | None,
    Header(alias="Idempotency-Key", description="Any unique text; repeat it to repeat the request safely."),
]


@dataclass(frozen=True, slots=True)
class Created:
    """What was created, and where it is from now on."""

    body: BaseModel
    location: str


@dataclass(frozen=True, slots=True)
class Accepted(Created):
    """What will be done, and where to look how far it is."""


@dataclass(frozen=True, slots=True)
class Done:
    """What something is like now that it was changed."""

    body: BaseModel


class DoOnce:
    """Does what the given function does, and answers 201, 202 or 200, once for every Idempotency-Key of a caller."""

    def __init__(
        self, request: Request, runtime: RuntimeState, tx: Session, caller: Principal, now: datetime, key: str | None
    ) -> None:
        self._request = request
        self._runtime = runtime
        self._tx = tx
        self._caller = caller
        self._now = now
        self._key = key

    async def __call__(self, act: Callable[[], Awaitable[Created | Done]]) -> Response:
        """Act, or repeat the answer; raises IdempotencyKeyReused when the request differs from the first one."""
        if self._key is None:
            return _answer(await act())
        remembered = idempotency.Request(self._caller, self._key, await self._fingerprint())
        earlier = await idempotency.find_answer(self._tx, self._runtime.vault, remembered, now=self._now)
        if earlier is not None:
            location = {} if earlier.location is None else {"Location": earlier.location}
            return Response(earlier.body, earlier.status, {**location, "Idempotent-Replayed": "true"}, MEDIA_TYPE)
        response = _answer(await act())
        body = bytes(response.body).decode()
        answer = idempotency.Answer(response.status_code, response.headers.get("location"), body)
        await idempotency.remember_answer(self._tx, self._runtime.vault, remembered, answer, now=self._now)
        return response

    async def _fingerprint(self) -> bytes:
        request = self._request
        head = f"{request.method} {request.url.path}\n".encode()
        return hashlib.sha256(head + await request.body()).digest()


def _answer(result: Created | Done) -> Response:
    body = result.body.model_dump_json(by_alias=True)
    if isinstance(result, Created):
        status = 202 if isinstance(result, Accepted) else 201
        return Response(body, status, {"Location": result.location}, MEDIA_TYPE)
    return Response(body, 200, media_type=MEDIA_TYPE)


def _do_once(
    request: Request, runtime: Runtime, caller: Caller, tx: Transaction, now: Now, key: IdempotencyKey = None
) -> DoOnce:
    return DoOnce(request, runtime, tx, caller, now, key)


Once = Annotated[DoOnce, Depends(_do_once)]
