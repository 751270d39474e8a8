"""Commands about legal holds."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import typer

from app.cli.arguments import parse_long_text
from app.cli.context import AsJson, Cursor, run
from app.cli.output import show, show_list
from app.db.models import LegalHold
from app.db.session import Session
from app.domain.pages import MAX_LIMIT, Page, PageRequest
from app.domain.permissions import COMMAND_LINE
from app.runtime import Runtime
from app.services import legal_holds

app = typer.Typer(no_args_is_help=True, help="Legal holds: evidence that stays, whatever its age.")


@app.command("place")
def place(
    reason: Annotated[str, typer.Option(parser=parse_long_text, metavar="TEXT", help="Why, for those who ask later.")],
    organization_id: Annotated[
        UUID | None, typer.Option(help="Whose evidence stays; that of the whole installation when left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Keep evidence from now on, until the hold is released."""

    async def work(tx: Session, runtime: Runtime) -> LegalHold:
        wish = legal_holds.PlaceLegalHold(reason, organization_id)
        return await legal_holds.place(tx, COMMAND_LINE, wish, now=runtime.now())

    show(_card(run(work)), as_json=as_json)


@app.command("list")
def list_all(cursor: Cursor = None, as_json: AsJson = False) -> None:
    """List legal holds, newest first, those that were released too, at most 200."""

    async def work(tx: Session, runtime: Runtime) -> Page[LegalHold]:
        return await legal_holds.list_page(tx, PageRequest(MAX_LIMIT, cursor))

    found = run(work)
    columns = ("id", "organizationId", "reason", "placedAt", "releasedAt")
    show_list([_card(hold) for hold in found.items], found.next_cursor, columns, as_json=as_json)


@app.command("release")
def release(hold_id: Annotated[UUID, typer.Argument(help="The hold's id.")], as_json: AsJson = False) -> None:
    """Release a hold: from now on what is old may go."""

    async def work(tx: Session, runtime: Runtime) -> None:
        await legal_holds.release(tx, COMMAND_LINE, hold_id, now=runtime.now())

    run(work)
    show({"id": hold_id, "released": True}, as_json=as_json)


def _card(hold: LegalHold) -> dict[str, Any]:
    return {
        "id": hold.id,
        "organizationId": hold.organization_id,
        "reason": hold.reason,
        "placedAt": hold.placed_at,
        "releasedAt": hold.released_at,
    }
