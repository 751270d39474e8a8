"""Maintenance by command: each does its run here and now, with or without a running server."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.arguments import parse_text
from app.cli.context import AsJson
from app.cli.wishes import NoWait, do_wish
from app.domain.maintenance import PruneOptions, ReindexOptions, TableOptions
from app.domain.runs import RunKind

app = typer.Typer(no_args_is_help=True, help="Maintenance: vacuum, analyze, reindex, prune.")

Tables = Annotated[
    list[str] | None, typer.Option("--table", parser=parse_text, metavar="NAME", help="Only this one; may be repeated.")
]
Indexes = Annotated[
    list[str] | None, typer.Option("--index", parser=parse_text, metavar="NAME", help="Only this one; may be repeated.")
]
Force = Annotated[bool, typer.Option(help="Whatever the statistics say.")]


@app.command("vacuum")
def vacuum(table: Tables = None, force: Force = False, no_wait: NoWait = False, as_json: AsJson = False) -> None:
    """Vacuum and analyze the tables that need it."""
    do_wish(RunKind.VACUUM, TableOptions(tuple(table or ()), force), no_wait=no_wait, as_json=as_json)


@app.command("analyze")
def analyze(table: Tables = None, force: Force = False, no_wait: NoWait = False, as_json: AsJson = False) -> None:
    """Bring the planner's statistics up to date where they are stale."""
    do_wish(RunKind.ANALYZE, TableOptions(tuple(table or ()), force), no_wait=no_wait, as_json=as_json)


@app.command("reindex")
def reindex(
    table: Tables = None, index: Indexes = None, force: Force = False, no_wait: NoWait = False, as_json: AsJson = False
) -> None:
    """Rebuild bloated and invalid indexes while everybody works on."""
    do_wish(
        RunKind.REINDEX, ReindexOptions(tuple(table or ()), tuple(index or ()), force), no_wait=no_wait, as_json=as_json
    )


@app.command("prune")
def prune(
    dry_run: Annotated[bool, typer.Option(help="Tell what would go, and touch nothing.")] = False,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Archive and remove what was kept long enough."""
    do_wish(RunKind.PRUNE, PruneOptions(dry_run), no_wait=no_wait, as_json=as_json)
