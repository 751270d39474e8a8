"""`license-server drill`: leads through a disaster recovery, whose machine's part is done for real and timed."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from app.cli.arguments import parse_text
from app.cli.configuration import read_recovery_key
from app.cli.context import AsJson, run_long
from app.cli.output import fail, say
from app.cli.progress import progress_bar
from app.cli.runs import show_end
from app.db.models import Run
from app.domain.drills import QUESTIONS
from app.domain.maintenance import DrillOptions
from app.domain.permissions import COMMAND_LINE
from app.domain.runs import RunKind, RunTrigger
from app.ops.backups.drill import drill as rehearse
from app.runner import WORKS, Works, do_at_once
from app.runtime import Runtime
from app.services.runs import RequestRun
from app.telemetry.values import printable

WELCOME = """\
A drill: this machine is lost, and the license server is needed again. First come the questions that only people can
answer; write no secret into an answer, it is kept in the report. Then the machine's part is done for real and timed, in
an empty installation of its own: the newest backup is fetched from its place, restored, served, and a license is
validated. The live server goes on, and is not touched."""
KEY_QUESTION = "Recovery key (get it from where it is kept; empty when it can't be had)"
LONGEST_ANSWER = 500


def drill(
    led_by: Annotated[str | None, typer.Option(parser=parse_text, metavar="NAME", help="Who leads the drill.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing: only the machine's part.")] = False,
    recovery_key_file: Annotated[
        Path | None, typer.Option("--recovery-key-file", metavar="FILE", help="Where the recovery key is; - is stdin.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Rehearse a disaster recovery: questions, then a real restore into an empty installation; writes a report."""
    if not yes and not sys.stdin.isatty():
        fail("A drill asks questions: start it at a terminal, or with --yes for the machine's part alone.")
    if not yes:
        say(WELCOME)
    leader, answers = (led_by or "", ()) if yes else _ask(led_by or "")
    recovery_key = _recovery_key(recovery_key_file, is_asked=not yes)
    works: Works = {**WORKS, RunKind.DRILL: partial(rehearse, recovery_key=recovery_key)}
    wish = RequestRun(RunKind.DRILL, DrillOptions(leader, answers), RunTrigger.COMMAND)

    async def work(runtime: Runtime) -> Run:
        try:
            with progress_bar(is_shown=not as_json) as tell:
                return await do_at_once(runtime, COMMAND_LINE, wish, tell, works)
        except asyncio.CancelledError:
            say("Stopped; `license-server runs list` says how the drill ended.")
            raise

    show_end(run_long(work), as_json=as_json)


def _ask(led_by: str) -> tuple[str, tuple[str, ...]]:
    """Who leads, and an answer to each question; empty where nobody knows."""
    name = led_by or typer.prompt("Who leads this drill?", default="", show_default=False, err=True)
    answers = [typer.prompt(question, default="", show_default=False, err=True) for question in QUESTIONS]
    return _kept(name), tuple(map(_kept, answers))


def _kept(answer: str) -> str:
    """An answer as the database and the report can hold it, whatever the terminal sent."""
    return printable(answer.strip())[:LONGEST_ANSWER]


def _recovery_key(path: Path | None, *, is_asked: bool) -> str:
    if path is not None:
        return read_recovery_key(path)
    if not is_asked:
        return ""
    key: str = typer.prompt(KEY_QUESTION, default="", show_default=False, hide_input=True, err=True)
    return key.strip()
