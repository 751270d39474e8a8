"""Maintenance by command: each does its run here and now, with or without a running server."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.arguments import parse_text
from app.cli.context import AsJson, run_long
from app.cli.runs import run_card, show_end, shown_progress
from app.domain.maintenance import Options, PruneOptions, ReindexOptions, TableOptions
from app.domain.permissions import COMMAND_LINE
from app.domain.runs import RunKind, RunStatus, RunTrigger
from app.runner import do_at_once
from app.runtime import Runtime
from app.services.runs import RequestRun

app = typer.Typer(no_args_is_help=True, help="Maintenance: vacuum, analyze, reindex, prune.")

Tables = Annotated[
    list[str] | None, typer.Option("--table", parser=parse_text, metavar="NAME", help="Only this one; may be repeated.")
]
Indexes = Annotated[
    list[str] | None, typer.Option("--index", parser=parse_text, metavar="NAME", help="Only this one; may be repeated.")
]
Force = Annotated[bool, typer.Option(help="Whatever the statistics say.")]


@app.command("vacuum")
def vacuum(table: Tables = None, force: Force = False, as_json: AsJson = False) -> None:
    """Vacuum and analyze the tables that need it."""
    _do(RunKind.VACUUM, TableOptions(tuple(table or ()), force), as_json=as_json)


@app.command("analyze")
def analyze(table: Tables = None, force: Force = False, as_json: AsJson = False) -> None:
    """Bring the planner's statistics up to date where they are stale."""
    _do(RunKind.ANALYZE, TableOptions(tuple(table or ()), force), as_json=as_json)


@app.command("reindex")
def reindex(table: Tables = None, index: Indexes = None, force: Force = False, as_json: AsJson = False) -> None:
    """Rebuild bloated and invalid indexes while everybody works on."""
    _do(RunKind.REINDEX, ReindexOptions(tuple(table or ()), tuple(index or ()), force), as_json=as_json)


@app.command("prune")
def prune(
    dry_run: Annotated[bool, typer.Option(help="Tell what would go, and touch nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Archive and remove what was kept long enough."""
    _do(RunKind.PRUNE, PruneOptions(dry_run), as_json=as_json)


def _do(kind: RunKind, options: Options, *, as_json: bool) -> None:
    wish = RequestRun(kind, options, RunTrigger.COMMAND)
    with shown_progress(as_json=as_json) as tell:

        async def work(runtime: Runtime) -> tuple[dict[str, object], RunStatus]:
            run = await do_at_once(runtime, COMMAND_LINE, wish, tell)
            return run_card(run), RunStatus(run.status)

        card, status = run_long(work)
    show_end(card, status, as_json=as_json)
