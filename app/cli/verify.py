"""Verification by command: a backup is restored on trial here and now, with or without a running server."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer

from app.cli.context import AsJson
from app.cli.wishes import NoWait, do_wish
from app.db.session import Session
from app.domain.maintenance import VerifyOptions
from app.domain.runs import RunKind
from app.services import verifications


def verify(
    backup_id: Annotated[
        UUID | None, typer.Argument(metavar="[BACKUP_ID]", help="Which; the newest when not given.")
    ] = None,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Prove a backup: restore it into a database of its own, compare every table, and validate a license there."""
    options = VerifyOptions("" if backup_id is None else str(backup_id))

    async def judge(tx: Session) -> None:
        if backup_id is not None:
            await verifications.require_possible(tx, backup_id)

    do_wish(RunKind.VERIFY, options, no_wait=no_wait, as_json=as_json, judge=judge)
