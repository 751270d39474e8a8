"""Commands about runs."""

from __future__ import annotations

from contextlib import aclosing
from typing import Annotated, Any
from uuid import UUID

import typer

from app.cli.context import AsJson, Cursor, run, run_long
from app.cli.output import FAILED, console, print_json_line, say, show, show_list
from app.cli.progress import line_of, progress_bar
from app.cli.run_results import line_of_run, show_result
from app.db.models import Run
from app.db.session import Session
from app.domain.pages import MAX_LIMIT, Page, PageRequest
from app.domain.permissions import COMMAND_LINE
from app.domain.runs import UNDER_WAY, RunKind, RunStatus, Tell
from app.domain.words import camel_case
from app.runner import watch
from app.runtime import Runtime
from app.services import runs

app = typer.Typer(no_args_is_help=True, help="Runs: what maintenance did, does and will do.")

RunId = Annotated[UUID, typer.Argument(metavar="RUN_ID")]

GOOD_ENDS: frozenset[str] = frozenset({RunStatus.SUCCEEDED, RunStatus.SUCCEEDED_WITH_WARNINGS, RunStatus.SKIPPED})
OUTAGE_SECONDS = 60.0

_FIELDS = (
    *("id", "kind", "status", "options", "trigger", "schedule", "slot_at", "requested_at", "started_at", "finished_at"),
    *("cancel_requested_at", "progress", "warnings", "failure"),
)


@app.command("list")
def list_all(
    kind: Annotated[RunKind | None, typer.Option(help="Only of this kind.")] = None,
    status: Annotated[RunStatus | None, typer.Option(help="Only in this status.")] = None,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List runs, newest first, at most 200."""

    async def work(tx: Session, runtime: Runtime) -> Page[Run]:
        return await runs.list_page(tx, kind, status, PageRequest(MAX_LIMIT, cursor))

    found = run(work)
    cards = [listed_run_card(one) for one in found.items]
    columns = ("id", "kind", "status", "started", "took")
    show_list(cards if as_json else [*map(line_of_run, cards)], found.next_cursor, columns, as_json=as_json)


@app.command("show")
def show_one(run_id: RunId, as_json: AsJson = False) -> None:
    """Show a run: how far it is, or what came of it."""

    async def work(tx: Session, runtime: Runtime) -> Run:
        return await runs.get(tx, run_id)

    show_run(run_card(run(work)), as_json=as_json)


@app.command("follow")
def follow(run_id: RunId, as_json: AsJson = False) -> None:
    """Watch a run until it has ended; the exit code tells whether it succeeded."""

    async def work(runtime: Runtime) -> Run:
        with progress_bar(is_shown=not as_json) as tell:
            return await _follow(runtime, run_id, tell, as_json=as_json)

    ended = run_long(work)
    if not as_json:
        show_run(run_card(ended), as_json=False)
    _end_with(ended.status, as_json=as_json)


@app.command("cancel")
def cancel(run_id: RunId, as_json: AsJson = False) -> None:
    """Have a run cancelled."""

    async def work(tx: Session, runtime: Runtime) -> Run:
        return await runs.cancel(tx, COMMAND_LINE, run_id, now=runtime.now())

    show_run(run_card(run(work)), as_json=as_json)


def show_end(ended: Run, *, as_json: bool) -> None:
    """The run that has ended; exit code 1 unless it ended well."""
    show_run(run_card(ended), as_json=as_json)
    _end_with(ended.status, as_json=as_json)


def run_card(one: Run) -> dict[str, Any]:
    """The run with the names that answers use."""
    return {**listed_run_card(one), "result": one.result}


def listed_run_card(one: Run) -> dict[str, Any]:
    """The same without the result, as lists show it."""
    asker = {"kind": one.requested_by_kind, "id": one.requested_by_id}
    return {**{camel_case(name): getattr(one, name) for name in _FIELDS}, "requestedBy": asker}


def show_run(card: dict[str, Any], *, as_json: bool) -> None:
    """The run for people or programs; its warnings go to stderr, too."""
    if as_json:
        show(card, as_json=True)
        return
    show_result(card, runs.from_document(card["progress"]))


def _end_with(status: str, *, as_json: bool) -> None:
    if status not in GOOD_ENDS:
        if as_json:
            say(f"The run ended as {status}.")
        raise typer.Exit(FAILED)


async def _follow(runtime: Runtime, run_id: UUID, tell: Tell, *, as_json: bool) -> Run:
    """The run at its end; until then each change is told as one line of JSON, by the bar, or in a line of words."""
    async with aclosing(watch(runtime, run_id, outage_seconds=OUTAGE_SECONDS)) as looks:
        async for one in looks:
            if one is None:
                continue
            progress = runs.from_document(one.progress)
            if as_json:
                print_json_line(run_card(one))
            elif console.is_terminal:
                tell(progress)
            elif one.status in UNDER_WAY:
                say(line_of(progress))
    assert one is not None, "the last look shows the end"
    return one
