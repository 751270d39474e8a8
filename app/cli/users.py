"""Commands about people and invitations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from app.cli.arguments import parse_email, parse_text
from app.cli.context import AsJson, Cursor, run
from app.cli.output import say, show, show_list
from app.db.models import Invitation, User
from app.db.session import Session
from app.domain.pages import MAX_LIMIT, Page, PageRequest
from app.domain.permissions import COMMAND_LINE, Role
from app.domain.users import UserFilter
from app.passwords import is_importable
from app.runtime import Runtime
from app.services import invitations, users

app = typer.Typer(no_args_is_help=True, help="Users: people who sign in.")
invitations_app = typer.Typer(no_args_is_help=True, help="Invitations: people who may become users.")

EmailOption = Annotated[str, typer.Option("--email", parser=parse_email, metavar="EMAIL", help="The e-mail address.")]
EmailArgument = Annotated[str, typer.Argument(parser=parse_email, metavar="EMAIL", help="The e-mail address.")]
RoleOption = Annotated[Role, typer.Option("--role", help="What the person is.")]
Place = Annotated[UUID | None, typer.Option("--organization-id", help="Of which organization; operators have none.")]


@app.command("create")
def create(
    email: EmailOption,
    name: Annotated[str, typer.Option(parser=parse_text, metavar="TEXT", help="The person's name.")],
    role: RoleOption,
    organization_id: Place = None,
    password_hash_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="File with the argon2 or bcrypt hash of a known password."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an account; its owner chooses the password with the token that is mailed, or printed without SMTP_HOST."""
    password_hash = None if password_hash_file is None else _read_password_hash(password_hash_file)
    wish = users.CreateUser(email, name, role, organization_id, password_hash)

    async def work(tx: Session, runtime: Runtime) -> tuple[User, str | None]:
        return await users.create(tx, COMMAND_LINE, wish, runtime.postbox, now=runtime.now())

    user, token = run(work)
    show({**_card(user), "token": token}, as_json=as_json)
    _say_where(token, "reset-password", as_json=as_json)


@app.command("invite")
def invite(email: EmailOption, role: RoleOption, organization_id: Place = None, as_json: AsJson = False) -> None:
    """Invite somebody by mail, for 72 hours; without SMTP_HOST the token to hand over is printed, once."""
    wish = invitations.CreateInvitation(email, role, organization_id)

    async def work(tx: Session, runtime: Runtime) -> tuple[Invitation, str | None]:
        return await invitations.create(tx, COMMAND_LINE, wish, runtime.postbox, now=runtime.now())

    invitation, token = run(work)
    show({**_invitation_card(invitation), "token": token}, as_json=as_json)
    _say_where(token, "accept-invitation", as_json=as_json)


@app.command("list")
def list_all(
    organization_id: Place = None,
    role: Annotated[Role | None, typer.Option(help="Only people who are this.")] = None,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List people, newest first, at most 200."""
    page = PageRequest(MAX_LIMIT, cursor)

    async def work(tx: Session, runtime: Runtime) -> Page[User]:
        return await users.list_page(tx, COMMAND_LINE, UserFilter(organization_id, role), page)

    found = run(work)
    columns = ("id", "email", "role", "disabledAt")
    show_list([_card(user) for user in found.items], found.next_cursor, columns, as_json=as_json)


@app.command("set-role")
def set_role(email: EmailArgument, role: RoleOption, organization_id: Place = None, as_json: AsJson = False) -> None:
    """Make somebody something else; all sessions of the account end."""
    place = {} if organization_id is None else {"organization_id": organization_id}
    _change(email, {"role": role, **place}, as_json=as_json)


@app.command("disable")
def disable(email: EmailArgument, as_json: AsJson = False) -> None:
    """Let somebody in no more; all sessions of the account end at once."""
    _change(email, {"is_disabled": True}, as_json=as_json)


@app.command("enable")
def enable(email: EmailArgument, as_json: AsJson = False) -> None:
    """Let somebody in again."""
    _change(email, {"is_disabled": False}, as_json=as_json)


@app.command("delete")
def delete(email: EmailArgument, as_json: AsJson = False) -> None:
    """Delete an account for good; the audit trail keeps what it did."""

    async def work(tx: Session, runtime: Runtime) -> User:
        found = await users.find_by_email(tx, COMMAND_LINE, email)
        return await users.delete(tx, COMMAND_LINE, found.id, now=runtime.now())

    show({"id": run(work).id, "deleted": True}, as_json=as_json)


@invitations_app.command("list")
def list_invitations(cursor: Cursor = None, as_json: AsJson = False) -> None:
    """List invitations, newest first, at most 200, those that have ended too."""
    page = PageRequest(MAX_LIMIT, cursor)

    async def work(tx: Session, runtime: Runtime) -> Page[Invitation]:
        return await invitations.list_page(tx, COMMAND_LINE, page)

    found = run(work)
    columns = ("id", "email", "role", "expiresAt", "acceptedAt", "revokedAt")
    cards = [_invitation_card(invitation) for invitation in found.items]
    show_list(cards, found.next_cursor, columns, as_json=as_json)


@invitations_app.command("revoke")
def revoke(
    invitation_id: Annotated[UUID, typer.Argument(help="The invitation's id.")], as_json: AsJson = False
) -> None:
    """End an invitation at once."""

    async def work(tx: Session, runtime: Runtime) -> None:
        await invitations.revoke(tx, COMMAND_LINE, invitation_id, now=runtime.now())

    run(work)
    show({"id": invitation_id, "revoked": True}, as_json=as_json)


def _change(email: str, changes: dict[str, object], *, as_json: bool) -> None:
    async def work(tx: Session, runtime: Runtime) -> User:
        found = await users.find_by_email(tx, COMMAND_LINE, email)
        return await users.change(tx, COMMAND_LINE, found.id, changes, now=runtime.now())

    show(_card(run(work)), as_json=as_json)


def _read_password_hash(path: Path) -> str:
    try:
        password_hash = path.read_text().strip()
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{path} can't be read as text") from error
    if not is_importable(password_hash):
        raise typer.BadParameter(f"{path} must hold an argon2 hash, or a bcrypt hash of a cost up to 14")
    return password_hash


def _say_where(token: str | None, page: str, *, as_json: bool) -> None:
    if token is not None and not as_json:
        say(f"No mail is sent: hand the token over, to be typed in at the server's page /account/{page}.")


def _card(user: User) -> dict[str, object]:
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "role": user.role,
        "organizationId": user.organization_id,
        "disabledAt": user.disabled_at,
    }


def _invitation_card(invitation: Invitation) -> dict[str, object]:
    return {
        "id": invitation.id,
        "email": invitation.email,
        "role": invitation.role,
        "organizationId": invitation.organization_id,
        "expiresAt": invitation.expires_at,
        "acceptedAt": invitation.accepted_at,
        "revokedAt": invitation.revoked_at,
    }
