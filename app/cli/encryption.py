"""The command that ends the change of the encryption key."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.progress import Progress as Bar

from app.cli.context import AsJson, run_long
from app.cli.output import console, show
from app.ops import encryption
from app.ops.encryption import Progress
from app.runtime import Runtime


def reencrypt(
    check: Annotated[bool, typer.Option("--check", help="Only count what old keys encrypted.")] = False,
    as_json: AsJson = False,
) -> None:
    """Encrypt everything stored anew with the first key of ENCRYPTION_KEY; the old ones may go afterwards."""

    async def work(runtime: Runtime) -> Progress:
        total = Progress()
        with Bar(console=console, disable=as_json or not console.is_terminal, transient=True) as bar:
            task = bar.add_task(
                "Looking" if check else "Encrypting", total=await encryption.count_values(runtime.database)
            )
            async for step in encryption.reencrypt(runtime.database, runtime.vault, may_change=not check):
                total += step
                bar.update(task, advance=step.seen)
        encryption.require_readable(total)
        return total

    done = run_long(work)
    found = "outdated" if check else "renewed"
    show({"lookedAt": done.seen, found: done.outdated}, as_json=as_json)
