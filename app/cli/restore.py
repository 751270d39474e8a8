"""Restores by command: with or without a running server, and where the server does not start."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import typer

from app.cli.arguments import parse_text
from app.cli.context import AsJson, command_settings, one_sentence, quiet_logs, run_anyway
from app.cli.output import say, show, show_list
from app.cli.progress import progress_bar
from app.cli.run_results import show_outcome
from app.cli.runs import show_end
from app.db.models import Run
from app.db.scratch import database_of
from app.domain.maintenance import Options, RestoreOptions, RollbackOptions
from app.domain.permissions import COMMAND_LINE
from app.domain.restores import PutAway, pick, require_confirmation
from app.domain.runs import Outcome, Progress, RunKind, RunTrigger, Tell
from app.domain.words import ByteCount
from app.ops.backups import putaway
from app.ops.backups.choice import choose_from_stores, require_trust
from app.ops.health import check_readiness
from app.runner import direct_url, do_at_once, do_off_the_record
from app.runtime import Runtime, has_installation, open_vault, require_key
from app.services import restores
from app.services.runs import RequestRun
from app.settings import Settings

NEWEST = "newest"
SWAPPED = "finishing"
"""The phase of a restore or a rollback that begins when the databases are exchanged."""

app = typer.Typer(
    invoke_without_command=True, help="Restore a backup in place of the live database, and take that back."
)

Confirm = Annotated[
    str, typer.Option(metavar="NAME", help="The name of the live database: nothing happens by mistake.")
]
DatabaseName = Annotated[str, typer.Argument(parser=parse_text, metavar="NAME", help="A name that `list` shows.")]


def _read_backup(text: str) -> str:
    """The id of a backup, or nothing for the newest; raises ValueError."""
    return "" if text in ("", NEWEST) else str(UUID(text))


@app.callback()
def restore(
    context: typer.Context,
    backup: Annotated[
        str, typer.Option(parser=_read_backup, metavar="ID", help="Which backup; the newest when none is named.")
    ] = NEWEST,
    confirm: Confirm = "",
    force: Annotated[bool, typer.Option(help="Also one that was never verified, or is not signed by us.")] = False,
    as_json: AsJson = False,
) -> None:
    """Restore a backup: beside the live database, examined there, then in its place; the live one is kept.

    Where there is no installation yet, one is made of the newest backup in BACKUP_DIR and BACKUP_S3_URL.
    """
    if context.invoked_subcommand is not None:
        return
    options = RestoreOptions(_read_backup(backup), force)
    _do(RunKind.RESTORE, options, confirm, as_json=as_json, may_create=_is_restorable_from_nothing(options))


@app.command("rollback")
def rollback(
    database: Annotated[
        str | None,
        typer.Argument(parser=parse_text, metavar="[NAME]", help="A name that `list` shows; the last when left out."),
    ] = None,
    confirm: Confirm = "",
    as_json: AsJson = False,
) -> None:
    """Take a restore back: the database that it put away takes the live one's place again, which is kept."""
    _do(RunKind.ROLLBACK, RollbackOptions(database or ""), confirm, as_json=as_json)


@app.command("list")
def list_all(as_json: AsJson = False) -> None:
    """List the databases that restores have put away, the last one first."""

    async def work(runtime: Runtime) -> Sequence[PutAway]:
        return await putaway.list_put_away(direct_url(runtime))

    cards = [_card(one) if as_json else _line(one) for one in run_anyway(work)]
    show_list(cards, None, ("name", "why", "since", "size"), as_json=as_json)


@app.command("discard")
def discard(name: DatabaseName, as_json: AsJson = False) -> None:
    """Drop a database that a restore has put away, for good."""

    async def work(runtime: Runtime) -> PutAway:
        url = direct_url(runtime)
        chosen = pick(await putaway.list_put_away(url), name)
        await putaway.discard(url, name)
        if await _can_hold_runs(runtime):
            async with runtime.database.transaction() as tx:
                await restores.tell_discarded(tx, COMMAND_LINE, chosen, now=runtime.now())
        return chosen

    dropped = run_anyway(work)
    show(_card(dropped) if as_json else _line(dropped), as_json=as_json)
    if not as_json:
        say("It is dropped, for good.")


def _do(kind: RunKind, options: Options, confirm: str, *, as_json: bool, may_create: bool = False) -> None:
    phases = [""]

    async def work(runtime: Runtime) -> Run | Outcome:
        require_confirmation(confirm, database_of(direct_url(runtime)))
        with progress_bar(is_shown=not as_json) as show_progress:

            def tell(progress: Progress) -> None:
                phases.append(progress.phase)
                show_progress(progress)

            try:
                return await _do_as_is_possible(runtime, kind, options, tell)
            except asyncio.CancelledError:
                say(_told_to_stop(phases[-1]))
                raise

    ended = run_anyway(work, may_create=may_create)
    if isinstance(ended, Run):
        show_end(ended, as_json=as_json)
    elif as_json:
        show({**ended.result, "warnings": list(ended.warnings)}, as_json=True)
    else:
        show_outcome(ended.result, ended.warnings)
    if not as_json:
        _tell_way_back(dict(ended.result or {}))


async def _do_as_is_possible(runtime: Runtime, kind: RunKind, options: Options, tell: Tell) -> Run | Outcome:
    if await _can_hold_runs(runtime):
        return await do_at_once(runtime, COMMAND_LINE, RequestRun(kind, options, RunTrigger.COMMAND), tell)
    quiet_logs()
    return await do_off_the_record(runtime, COMMAND_LINE, kind, options, tell)


def _told_to_stop(phase: str) -> str:
    if phase == SWAPPED:
        return "Stopped after the databases were exchanged: `license-server restore list` shows what was put away."
    return "Stopped; the live database is as it was."


def _tell_way_back(result: dict[str, Any]) -> None:
    away = result.get("putAway")
    if away is not None:
        say(f"The database before is kept as {away}: `license-server restore rollback` brings it back,")
        say(f"and `license-server restore discard {away}` drops it.")


async def _can_hold_runs(runtime: Runtime) -> bool:
    """Whether the live database is there and of this release."""
    readiness = await check_readiness(runtime.probe_lane, head_revision=runtime.head_revision, is_draining=False)
    return readiness.is_ready


def _is_restorable_from_nothing(options: RestoreOptions) -> bool:
    """Whether there is no installation, and a backup in the stores of which one can be made: ours, by its signature.

    All of that is found out before anything is made.
    """
    with one_sentence():
        settings: Settings = command_settings()
        if settings.database_url is not None or has_installation(settings):
            return False
        require_key(settings)
        vault = open_vault(settings)
        chosen = choose_from_stores(settings, vault, options.backup)
        require_trust(chosen, vault, is_forced=options.force, nothing_to_lose=True)
    return True


def _card(one: PutAway) -> dict[str, Any]:
    return {
        "name": one.name,
        "why": one.story.why,
        "since": one.story.since,
        "bytes": one.bytes,
        "backup": one.story.backup,
        "run": one.story.run,
    }


def _line(one: PutAway) -> dict[str, Any]:
    """The same as people read it."""
    return {
        "name": one.name,
        "why": str(one.story.why).replace("_", " "),
        "since": one.story.since,
        "size": None if one.bytes is None else str(ByteCount(one.bytes)),
    }
