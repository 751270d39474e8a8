"""Impatience: threads that a command which has said everything does not wait for.

The system looks up names in a thread that nobody can stop; the executor that asyncio brings waits for it at the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Thread
from typing import Any, ParamSpec, TypeVar

Result = TypeVar("Result")
Given = ParamSpec("Given")


class Abandonable(ThreadPoolExecutor):
    """Gives each piece of work a thread of its own, which ends with the process."""

    def submit(self, fn: Callable[Given, Result], /, *args: Given.args, **kwargs: Given.kwargs) -> Future[Result]:
        """Begin at once."""
        future: Future[Result] = Future()
        Thread(target=_carry_out, args=(future, partial(fn, *args, **kwargs)), daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for nobody."""


def run_impatiently(work: Coroutine[Any, Any, Result]) -> Result:
    """`asyncio.run`, without waiting for threads at the end."""

    async def with_abandonable_threads() -> Result:
        asyncio.get_running_loop().set_default_executor(Abandonable())
        return await work

    return asyncio.run(with_abandonable_threads())


def _carry_out(future: Future[Any], work: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
