"""Wishes by command: a run that is done here and now, or left to a running server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from app.cli.context import run, run_long
from app.cli.output import say
from app.cli.progress import progress_bar
from app.cli.runs import run_card, show_end, show_run
from app.db.models import Run
from app.db.session import Session
from app.domain.maintenance import Options
from app.domain.permissions import COMMAND_LINE
from app.domain.runs import RunKind, RunTrigger
from app.runner import do_at_once
from app.runtime import Runtime
from app.services import runs
from app.services.runs import RequestRun

NoWait = Annotated[bool, typer.Option("--no-wait", help="Leave it to a running server.")]


Judge = Callable[[Session], Awaitable[None]]
"""Raises what a wish is refused with before any run is on record."""


async def _let_all(_tx: Session) -> None: ...


def do_wish(kind: RunKind, options: Options, *, no_wait: bool, as_json: bool, judge: Judge = _let_all) -> None:
    """Do a run of this kind and print it, or leave it to a server; exit code 1 unless it ended well."""
    wish = RequestRun(kind, options, RunTrigger.COMMAND)
    if no_wait:
        _leave(wish, judge, as_json=as_json)
        return

    async def work(runtime: Runtime) -> Run:
        async with runtime.database.transaction() as tx:
            await judge(tx)
        try:
            with progress_bar(is_shown=not as_json) as tell:
                return await do_at_once(runtime, COMMAND_LINE, wish, tell)
        except asyncio.CancelledError:
            say("Stopped; `license-server runs list` says how the run ended.")
            raise

    show_end(run_long(work), as_json=as_json)


def _leave(wish: RequestRun, judge: Judge, *, as_json: bool) -> None:
    async def work(tx: Session, runtime: Runtime) -> Run:
        await judge(tx)
        return await runs.request(tx, COMMAND_LINE, wish, now=runtime.now())

    queued = run(work)
    show_run(run_card(queued), as_json=as_json)
    if not as_json:
        say(f"A running server does it. Watch it: license-server runs follow {queued.id}")
