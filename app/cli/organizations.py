"""Commands about organizations."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.arguments import parse_email, parse_text
from app.cli.context import AsJson, Cursor, run
from app.cli.output import show, show_list
from app.db.models import Organization
from app.db.session import Session
from app.domain.pages import MAX_LIMIT, Page, PageRequest
from app.domain.permissions import COMMAND_LINE
from app.runtime import Runtime
from app.services import organizations

app = typer.Typer(no_args_is_help=True, help="Organizations: the customers that licenses are issued to.")


@app.command("create")
def create(
    name: Annotated[str, typer.Option(parser=parse_text, metavar="TEXT", help="Its name.")],
    domain: Annotated[str, typer.Option(parser=parse_text, metavar="TEXT", help="Its domain, which must be new.")],
    email: Annotated[str, typer.Option(parser=parse_email, metavar="EMAIL", help="Where it can be reached.")],
    as_json: AsJson = False,
) -> None:
    """Create an organization."""
    wish = organizations.CreateOrganization(name, domain, email)

    async def work(tx: Session, runtime: Runtime) -> Organization:
        return await organizations.create(tx, COMMAND_LINE, wish, now=runtime.now())

    show(card(run(work)), as_json=as_json)


@app.command("list")
def list_all(cursor: Cursor = None, as_json: AsJson = False) -> None:
    """List organizations, newest first, at most 200."""
    page = PageRequest(MAX_LIMIT, cursor)

    async def work(tx: Session, runtime: Runtime) -> Page[Organization]:
        return await organizations.list_page(tx, COMMAND_LINE, page)

    found = run(work)
    cards = [card(organization) for organization in found.items]
    show_list(cards, found.next_cursor, ("id", "name", "domain", "suspendedAt"), as_json=as_json)


def card(organization: Organization) -> dict[str, object]:
    """What is shown of an organization."""
    return {
        "id": organization.id,
        "name": organization.name,
        "domain": organization.domain,
        "email": organization.email,
        "suspendedAt": organization.suspended_at,
    }
