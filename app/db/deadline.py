"""A deadline that also holds when the database hangs."""

from __future__ import annotations

import asyncio
from types import TracebackType

_INSIST_SECONDS = 0.2


class Deadline:
    """`async with Deadline(seconds):` raises TimeoutError when the block takes longer.

    psycopg answers the first cancellation by asking the server politely and waiting for up to ten seconds; only a
    second one makes it drop the connection. So unlike `asyncio.timeout`, this goes on cancelling until the block ends.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._cancellations = 0

    async def __aenter__(self) -> Deadline:
        task = asyncio.current_task()
        assert task is not None, "a deadline needs a task"
        self._task = task
        self._cancelled_before = task.cancelling()
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(self._seconds, self._cancel)
        return self

    def _cancel(self) -> None:
        self._cancellations += 1
        self._task.cancel()
        self._timer = self._loop.call_later(_INSIST_SECONDS, self._cancel)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        others = self._task.cancelling()
        for _ in range(self._cancellations):
            others = self._task.uncancel()
        if self._cancellations and error is not None and others <= self._cancelled_before:
            raise TimeoutError(f"not done within {self._seconds} s") from error
