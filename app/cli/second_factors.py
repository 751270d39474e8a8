"""The command for an operator who has lost device and recovery codes."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.arguments import parse_text
from app.cli.context import AsJson, run
from app.cli.output import show
from app.db.session import Session
from app.domain.permissions import COMMAND_LINE
from app.runtime import Runtime
from app.services import second_factors


def reset_second_factor(
    email: Annotated[str, typer.Argument(parser=parse_text, metavar="EMAIL", help="The account's e-mail address.")],
    as_json: AsJson = False,
) -> None:
    """Take the second factor from an account that has lost it, and end all of its sessions."""

    async def work(tx: Session, runtime: Runtime) -> None:
        await second_factors.remove_by_email(tx, COMMAND_LINE, email, now=runtime.now())

    run(work)
    show({"email": email, "secondFactor": False}, as_json=as_json)
