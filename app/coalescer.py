"""Many askers, few trips: concurrent questions share one trip to wherever the answers come from.

While a batch is under way, new questions wait in line; when it returns, the whole line leaves as the next batch. There
is no timer: an idle server adds no delay and a busy one batches by itself. This file knows neither SQL nor HTTP.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")

Trip = Callable[[Sequence[Question]], Awaitable[Sequence[Answer]]]
Asker = tuple[Question, asyncio.Future[Answer]]


class LineFull(Exception):
    """More questions wait than the line may hold; the asker is refused at once."""


class LineClosed(Exception):
    """The line is shutting down and takes no more questions."""


class Outage(Exception):
    """Raised by a trip when nobody can be answered now; all who wait are told, and the next question tries anew."""


class Coalescer(Generic[Question, Answer]):
    """A bounded line of questions, served in batches by one or more `serve_line` tasks."""

    def __init__(
        self, *, max_batch: int, max_line: int, observe_line: Callable[[int], None] = lambda length: None
    ) -> None:
        self._max_batch = max_batch
        self._max_line = max_line
        self._observe_line = observe_line
        self._line: deque[Asker[Question, Answer]] = deque()
        self._arrival = asyncio.Event()
        self._is_closed = False

    async def ask(self, question: Question) -> Answer:
        """Wait in line for the answer; raises LineFull, LineClosed, Outage, or what the trip raised for it."""
        if self._is_closed:
            raise LineClosed
        if len(self._line) >= self._max_line:
            raise LineFull
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._line.append((question, future))
        self._arrival.set()
        return await future

    async def serve_line(self, trip: Trip[Question, Answer]) -> None:
        """Take batch after batch to their answers, until cancelled; several may serve the same line."""
        while True:
            await self._arrival.wait()
            batch = self._next_batch()
            if batch:
                await self._serve(batch, trip)

    def close(self) -> None:
        """Take no more questions and tell all who wait."""
        self._is_closed = True
        self._tell_all(LineClosed())

    def _next_batch(self) -> list[Asker[Question, Answer]]:
        batch: list[Asker[Question, Answer]] = []
        while self._line and len(batch) < self._max_batch:
            asker = self._line.popleft()
            if not asker[1].done():
                batch.append(asker)
        if not self._line:
            self._arrival.clear()
        return batch

    async def _serve(self, batch: list[Asker[Question, Answer]], trip: Trip[Question, Answer]) -> None:
        """Whatever happens on the way, nobody of the batch is left waiting and the line goes on."""
        try:
            self._observe_line(len(self._line))
            await _answer(batch, trip)
        except Outage as outage:
            _refuse(batch, outage)
            self._tell_all(outage)
        except Exception as error:
            _refuse(batch, error)
        except BaseException:
            _refuse(batch, LineClosed())
            raise

    def _tell_all(self, error: Exception) -> None:
        waiting = list(self._line)
        self._line.clear()
        self._arrival.clear()
        _refuse(waiting, error)


async def _answer(batch: list[Asker[Question, Answer]], trip: Trip[Question, Answer]) -> None:
    try:
        await _share_trip(batch, trip)
    except Outage:
        raise
    except Exception:
        if len(batch) == 1:
            raise
        await _answer_one_by_one(batch, trip)


async def _answer_one_by_one(batch: list[Asker[Question, Answer]], trip: Trip[Question, Answer]) -> None:
    for asker in batch:
        if asker[1].done():
            continue
        try:
            await _share_trip([asker], trip)
        except Outage:
            raise
        except Exception as error:
            _refuse([asker], error)


async def _share_trip(batch: list[Asker[Question, Answer]], trip: Trip[Question, Answer]) -> None:
    answers = await trip([question for question, _ in batch])
    if len(answers) != len(batch):
        raise RuntimeError(f"the trip brought {len(answers)} answers to {len(batch)} questions")
    for (_, future), answer in zip(batch, answers, strict=True):
        if not future.done():
            future.set_result(answer)


def _refuse(askers: Sequence[Asker[Question, Answer]], error: Exception) -> None:
    for _, future in askers:
        if not future.done():
            future.set_exception(error)
