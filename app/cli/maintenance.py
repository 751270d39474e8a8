"""Maintenance by command: each does its run here and now, with or without a running server."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from app.cli.arguments import parse_text
from app.cli.context import AsJson, run, run_long
from app.cli.output import say
from app.cli.progress import progress_bar
from app.cli.runs import run_card, show_end, show_run
from app.db.models import Run
from app.db.session import Session
from app.domain.maintenance import Options, PruneOptions, ReindexOptions, TableOptions
from app.domain.permissions import COMMAND_LINE
from app.domain.runs import RunKind, RunTrigger
from app.runner import do_at_once
from app.runtime import Runtime
from app.services import runs
from app.services.runs import RequestRun

app = typer.Typer(no_args_is_help=True, help="Maintenance: vacuum, analyze, reindex, prune.")

Tables = Annotated[
    list[str] | None, typer.Option("--table", parser=parse_text, metavar="NAME", help="Only this one; may be repeated.")
]
Indexes = Annotated[
    list[str] | None, typer.Option("--index", parser=parse_text, metavar="NAME", help="Only this one; may be repeated.")
]
Force = Annotated[bool, typer.Option(help="Whatever the statistics say.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Leave it to a running server.")]


@app.command("vacuum")
def vacuum(table: Tables = None, force: Force = False, no_wait: NoWait = False, as_json: AsJson = False) -> None:
    """Vacuum and analyze the tables that need it."""
    do_run(RunKind.VACUUM, TableOptions(tuple(table or ()), force), no_wait=no_wait, as_json=as_json)


@app.command("analyze")
def analyze(table: Tables = None, force: Force = False, no_wait: NoWait = False, as_json: AsJson = False) -> None:
    """Bring the planner's statistics up to date where they are stale."""
    do_run(RunKind.ANALYZE, TableOptions(tuple(table or ()), force), no_wait=no_wait, as_json=as_json)


@app.command("reindex")
def reindex(
    table: Tables = None, index: Indexes = None, force: Force = False, no_wait: NoWait = False, as_json: AsJson = False
) -> None:
    """Rebuild bloated and invalid indexes while everybody works on."""
    do_run(
        RunKind.REINDEX, ReindexOptions(tuple(table or ()), tuple(index or ()), force), no_wait=no_wait, as_json=as_json
    )


@app.command("prune")
def prune(
    dry_run: Annotated[bool, typer.Option(help="Tell what would go, and touch nothing.")] = False,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Archive and remove what was kept long enough."""
    do_run(RunKind.PRUNE, PruneOptions(dry_run), no_wait=no_wait, as_json=as_json)


def do_run(kind: RunKind, options: Options, *, no_wait: bool, as_json: bool) -> None:
    """Do a run here and show how it ended, or leave it to a running server."""
    wish = RequestRun(kind, options, RunTrigger.COMMAND)
    if no_wait:
        _leave(wish, as_json=as_json)
        return

    async def work(runtime: Runtime) -> Run:
        try:
            with progress_bar(is_shown=not as_json) as tell:
                return await do_at_once(runtime, COMMAND_LINE, wish, tell)
        except asyncio.CancelledError:
            say("Stopped; `license-server runs list` says how the run ended.")
            raise

    show_end(run_long(work), as_json=as_json)


def _leave(wish: RequestRun, *, as_json: bool) -> None:
    async def work(tx: Session, runtime: Runtime) -> Run:
        return await runs.request(tx, COMMAND_LINE, wish, now=runtime.now())

    queued = run(work)
    show_run(run_card(queued), as_json=as_json)
    if not as_json:
        say(f"A running server does it. Watch it: license-server runs follow {queued.id}")
