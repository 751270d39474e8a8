"""Commands about schedules, and the one that a cron outside of the server calls."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from app.cli.arguments import parse_text, parser
from app.cli.context import AsJson, run, run_long
from app.cli.output import FAILED, console, print_json, say, show, show_list
from app.cli.progress import progress_bar
from app.cli.run_results import line_of_run
from app.cli.runs import GOOD_ENDS, run_card, show_end
from app.db.models import Run
from app.db.session import Session
from app.domain.maintenance import SCHEDULABLE, read_options
from app.domain.permissions import COMMAND_LINE
from app.domain.run_evidence import command_of
from app.domain.runs import RunKind, RunTrigger
from app.domain.schedules import NAME, MissedPolicy, ScheduleNotFound, has_options, require_schedulable
from app.runner import do_at_once
from app.runtime import Runtime
from app.scheduling import do_due
from app.services import schedules
from app.services.runs import RequestRun
from app.services.schedules import PutSchedule, ScheduleState

app = typer.Typer(no_args_is_help=True, help="Schedules: which maintenance is done when, in UTC.")


def _require_name(text: str) -> str:
    if re.fullmatch(NAME, text) is None:
        raise ValueError("must be up to 50 of a-z 0-9 - and begin with a letter or digit, such as nightly-analyze")
    return text


Name = Annotated[str, typer.Argument(parser=parser(_require_name), metavar="NAME")]
KINDS = f"What to do: {', '.join(sorted(SCHEDULABLE))}; needed for a new schedule. Others need a person."
Several = typer.Option(parser=parse_text, metavar="NAME", help="Only this one; may be repeated.")


@app.command("list")
def list_all(as_json: AsJson = False) -> None:
    """List all schedules with their next slot and their last run."""

    async def work(tx: Session, runtime: Runtime) -> list[dict[str, Any]]:
        return [_card(state) for state in await schedules.list_all(tx, now=runtime.now())]

    cards = run(work)
    lines = [
        {**one, "next": next(iter(one["nextRuns"]), None), "last": (one["lastRun"] or {}).get("status")}
        for one in cards
    ]
    columns = ("name", "kind", "cron", "isEnabled", "next", "last")
    show_list(cards if as_json else lines, None, columns, as_json=as_json)
    if not as_json:
        for problem in filter(None, (one["problem"] for one in cards)):
            say(problem)


@app.command("show")
def show_one(name: Name, as_json: AsJson = False) -> None:
    """Show a schedule and its next three slots."""

    async def work(tx: Session, runtime: Runtime) -> dict[str, Any]:
        return _card(await schedules.get(tx, name, now=runtime.now()))

    show(run(work), as_json=as_json)


@app.command("set")
def set_one(
    name: Name,
    kind: Annotated[RunKind | None, typer.Option(help=KINDS)] = None,
    cron: Annotated[str | None, typer.Option(help="When, such as '30 4 * * SUN'; needed for a new schedule.")] = None,
    table: Annotated[list[str] | None, Several] = None,
    index: Annotated[list[str] | None, Several] = None,
    force: Annotated[bool | None, typer.Option(help="Whatever the statistics say.")] = None,
    dry_run: Annotated[bool | None, typer.Option(help="Tell what would go, and touch nothing.")] = None,
    missed: Annotated[MissedPolicy | None, typer.Option(help="What becomes of slots nobody was there for.")] = None,
    as_json: AsJson = False,
) -> None:
    """Create or change a schedule; what is not given stays, options only all together."""
    given = {"tables": table, "indexes": index, "force": force, "dryRun": dry_run}
    options = {member: value for member, value in given.items() if value is not None}

    async def work(tx: Session, runtime: Runtime) -> dict[str, Any]:
        wish = await _wish(tx, runtime, name, kind, cron, options, missed)
        await schedules.put(tx, COMMAND_LINE, wish, now=runtime.now())
        return _card(await schedules.get(tx, name, now=runtime.now()))

    show(run(work), as_json=as_json)


@app.command("enable")
def enable(name: Name, as_json: AsJson = False) -> None:
    """Have a schedule's slots come from now on."""
    _switch(name, is_enabled=True, as_json=as_json)


@app.command("disable")
def disable(name: Name, as_json: AsJson = False) -> None:
    """Let no slot of a schedule come until it is enabled again."""
    _switch(name, is_enabled=False, as_json=as_json)


@app.command("delete")
def delete(name: Name, as_json: AsJson = False) -> None:
    """Delete a schedule; its runs stay."""

    async def work(tx: Session, runtime: Runtime) -> None:
        await schedules.delete(tx, COMMAND_LINE, name, now=runtime.now())

    run(work)
    show({"name": name, "deleted": True}, as_json=as_json)


@app.command("run")
def run_now(name: Name, as_json: AsJson = False) -> None:
    """Do here and now what a schedule wants, enabled or not; its next slot comes all the same."""

    async def work(runtime: Runtime) -> Run:
        async with runtime.database.transaction() as tx:
            kind, options = await schedules.find_work(tx, name)
        wish = RequestRun(kind, options, RunTrigger.COMMAND, schedule=name)
        with progress_bar(is_shown=not as_json) as tell:
            return await do_at_once(runtime, COMMAND_LINE, wish, tell)

    show_end(run_long(work), as_json=as_json)


@app.command("run-due")
def run_due(as_json: AsJson = False) -> None:
    """Do here, once whoever else tries, what is due by now; for the host's cron or a Kubernetes CronJob."""

    async def work(runtime: Runtime) -> tuple[list[Run], list[str]]:
        with progress_bar(is_shown=not as_json) as tell:
            return await do_due(runtime, tell)

    ended, problems = run_long(work)
    cards = [run_card(one) for one in ended]
    if as_json:
        print_json({"items": cards, "problems": problems})
    elif cards:
        show_list([*map(line_of_run, cards)], None, ("id", "schedule", "status", "failure"), as_json=False)
    else:
        console.print("Nothing is due that can be done now.")
    for problem in problems:
        say(problem)
    if problems or any(card["status"] not in GOOD_ENDS for card in cards):
        raise typer.Exit(FAILED)


def _switch(name: str, *, is_enabled: bool, as_json: bool) -> None:
    async def work(tx: Session, runtime: Runtime) -> dict[str, Any]:
        await schedules.switch(tx, COMMAND_LINE, name, is_enabled=is_enabled, now=runtime.now())
        return _card(await schedules.get(tx, name, now=runtime.now()))

    show(run(work), as_json=as_json)


async def _wish(
    tx: Session,
    runtime: Runtime,
    name: str,
    kind: RunKind | None,
    cron: str | None,
    options: dict[str, Any],
    missed: MissedPolicy | None,
) -> PutSchedule:
    """The wish, completed by what the schedule is now; the kind of one that can't be read has to be given."""
    if kind is None or cron is None:
        try:
            present = (await schedules.get(tx, name, now=runtime.now())).schedule
        except ScheduleNotFound:
            raise typer.BadParameter(f"there is no {name} yet: say --kind and --cron") from None
        if present.kind not in list(RunKind):
            raise typer.BadParameter(f"the kind of {name} is unknown: say --kind and --cron")
        kind, cron = kind or RunKind(present.kind), cron or present.cron
    require_schedulable(kind)
    if not has_options(kind, options):
        raise typer.BadParameter(f"{kind} has no such option: see {command_of(kind)} --help")
    return PutSchedule(name, kind, cron, read_options(kind, options) if options else None, missed=missed)


def _card(state: ScheduleState) -> dict[str, Any]:
    """The schedule with the names that answers use."""
    schedule, last = state.schedule, state.last_run
    return {
        "name": schedule.name,
        "kind": schedule.kind,
        "cron": schedule.cron,
        "options": schedule.options,
        "isEnabled": schedule.is_enabled,
        "missed": schedule.missed,
        "nextRuns": list(state.next_runs),
        "waitingSince": schedule.waiting_since,
        "lastRun": last and {"id": last.id, "status": last.status, "requestedAt": last.requested_at},
        "problem": state.problem,
        "createdAt": schedule.created_at,
        "updatedAt": schedule.updated_at,
    }
