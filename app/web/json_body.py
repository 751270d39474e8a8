"""JSON bodies, read strictly: what two readers could understand differently is refused as malformed."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute


class JsonRoute(APIRoute):
    """A route whose JSON body is UTF-8, without repeated members, NaN or Infinity, and not nested without end."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, given a request that reads its body strictly."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            strict = _StrictRequest(request.scope, request.receive)
            await strict.body()  # now, and not when a transaction is open: a slow client must not hold one
            return await handle(strict)

        return handle_strictly


class _StrictRequest(Request):
    async def json(self) -> Any:
        """The body; raises JSONDecodeError for everything that is not JSON."""
        try:
            return _DECODER.decode((await self.body()).decode("utf-8-sig"))
        except json.JSONDecodeError:
            raise
        except (ValueError, RecursionError) as error:
            _refuse(type(error).__name__)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        _refuse("a repeated member")
    return members


def _refuse(reason: str) -> NoReturn:
    raise json.JSONDecodeError(reason, "", 0)


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse)
