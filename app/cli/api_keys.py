"""Commands about API keys."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import typer

from app.cli.arguments import parse_moment, parse_text
from app.cli.context import AsJson, Cursor, run
from app.cli.output import show, show_list
from app.db.models import ApiKey
from app.db.session import Session
from app.domain.pages import MAX_LIMIT, Page, PageRequest
from app.domain.permissions import COMMAND_LINE, Permission
from app.runtime import Runtime
from app.services import api_keys

app = typer.Typer(no_args_is_help=True, help="API keys: credentials for programs.")


@app.command("create")
def create(
    name: Annotated[str, typer.Option(parser=parse_text, metavar="TEXT", help="What it is for.")],
    scope: Annotated[
        list[Permission], typer.Option(metavar="SCOPE", help=f"{', '.join(Permission)}; may be repeated.")
    ],
    organization_id: Annotated[UUID | None, typer.Option(help="Of one organization instead of all.")] = None,
    expires_at: Annotated[
        datetime | None, typer.Option(parser=parse_moment, metavar="MOMENT", help="When it ends; never when left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create an API key and print its secret, once."""
    wish = api_keys.CreateApiKey(name, frozenset(scope), organization_id, expires_at)

    async def work(tx: Session, runtime: Runtime) -> tuple[ApiKey, str]:
        return await api_keys.create(tx, COMMAND_LINE, wish, now=runtime.now())

    api_key, secret = run(work)
    show({**_card(api_key), "apiKey": secret}, as_json=as_json)


@app.command("list")
def list_all(cursor: Cursor = None, as_json: AsJson = False) -> None:
    """List API keys, newest first, at most 200, without their secrets."""
    page = PageRequest(MAX_LIMIT, cursor)

    async def work(tx: Session, runtime: Runtime) -> Page[ApiKey]:
        return await api_keys.list_page(tx, COMMAND_LINE, page)

    found = run(work)
    columns = ("id", "name", "prefix", "expiresAt", "revokedAt", "lastUsedAt")
    show_list([_card(api_key) for api_key in found.items], found.next_cursor, columns, as_json=as_json)


@app.command("rotate")
def rotate(
    api_key_id: Annotated[UUID, typer.Argument(help="The API key's id.")],
    overlap_hours: Annotated[int, typer.Option(min=0, max=720, help="How long the old one goes on.")] = 24,
    as_json: AsJson = False,
) -> None:
    """Create a key that takes this one's place and print its secret, once."""

    async def work(tx: Session, runtime: Runtime) -> tuple[ApiKey, str]:
        overlap = timedelta(hours=overlap_hours)
        return await api_keys.rotate(tx, COMMAND_LINE, api_key_id, overlap, now=runtime.now())

    api_key, secret = run(work)
    show({**_card(api_key), "apiKey": secret}, as_json=as_json)


@app.command("revoke")
def revoke(api_key_id: Annotated[UUID, typer.Argument(help="The API key's id.")], as_json: AsJson = False) -> None:
    """End an API key at once."""

    async def work(tx: Session, runtime: Runtime) -> None:
        await api_keys.revoke(tx, COMMAND_LINE, api_key_id, now=runtime.now())

    run(work)
    show({"id": api_key_id, "revoked": True}, as_json=as_json)


def _card(api_key: ApiKey) -> dict[str, object]:
    return {
        "id": api_key.id,
        "name": api_key.name,
        "prefix": api_key.prefix,
        "scopes": api_key.scopes,
        "organizationId": api_key.organization_id,
        "expiresAt": api_key.expires_at,
        "revokedAt": api_key.revoked_at,
        "lastUsedAt": api_key.last_used_at,
        "lastUsedIp": api_key.last_used_ip,
        "replacedById": api_key.replaced_by_id,
    }
