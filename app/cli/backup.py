"""The command that makes a backup."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.arguments import parse_text
from app.cli.context import AsJson
from app.cli.wishes import NoWait, do_wish
from app.domain.maintenance import BackupOptions
from app.domain.runs import RunKind


def backup(
    pin: Annotated[bool, typer.Option("--pin", help="It never expires.")] = False,
    note: Annotated[
        str | None, typer.Option(parser=parse_text, metavar="TEXT", help="What it is for: before the upgrade to 2.0.")
    ] = None,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Make a backup of the database while everybody works on."""
    do_wish(RunKind.BACKUP, BackupOptions(pin, note or ""), no_wait=no_wait, as_json=as_json)
