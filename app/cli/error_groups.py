"""The command that shows errors."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from app.cli.arguments import parse_moment
from app.cli.context import AsJson, run
from app.cli.output import console, print_json, show_table
from app.db.session import Session
from app.domain.error_groups import ErrorGroup, ErrorSummary, choose_window
from app.domain.words import number_of
from app.ops import error_groups
from app.runtime import Runtime

Since = Annotated[
    datetime | None,
    typer.Option(parser=parse_moment, metavar="MOMENT", help="From this moment on; a day before the end if left out."),
]
Until = Annotated[
    datetime | None, typer.Option(parser=parse_moment, metavar="MOMENT", help="Before this moment; now if left out.")
]

COLUMNS = ("event", "exception", "place", "count", "firstSeenAt", "lastSeenAt")


def show_errors(since: Since = None, until: Until = None, as_json: AsJson = False) -> None:
    """Show the error lines of the last time, those that are alike together, most first."""

    async def work(tx: Session, runtime: Runtime) -> ErrorSummary:
        return await error_groups.summarize(tx, choose_window(since, until, runtime.now()))

    found = run(work)
    groups = [_document(one) for one in found.groups]
    if as_json:
        window = {"since": found.window.since, "until": found.window.until}
        print_json({**window, "count": found.count, "groupCount": found.group_count, "groups": groups})
        return
    if not groups:
        console.print("No errors were logged.")
    title = f"{number_of(found.count, 'error line')} in {number_of(found.group_count, 'group')}"
    show_table(title, [{name: group[name] for name in COLUMNS} for group in groups])


def _document(group: ErrorGroup) -> dict[str, Any]:
    seen = group.occurrences
    return {
        "fingerprint": group.fingerprint,
        "event": group.event,
        "exception": group.exception,
        "place": group.place,
        "count": seen.count,
        "firstSeenAt": seen.first_seen_at,
        "lastSeenAt": seen.last_seen_at,
        "days": [{"day": one.day, "count": one.count} for one in group.days],
    }
