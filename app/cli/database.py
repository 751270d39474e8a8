"""Commands about the schema and the first operator."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from typing import Annotated

import typer

from app.cli.arguments import parse_text
from app.cli.context import AsJson, command_settings, one_sentence
from app.cli.output import say, show
from app.db.migrations import migrate as migrate_schema
from app.runtime import database_url, open_runtime
from app.services import licenses, users
from app.settings import Settings

GENERATED_PASSWORD_BYTES = 18


@dataclass(frozen=True, slots=True)
class FirstOperator:
    """The credentials of an operator that was just made; `was_generated` tells that nobody knows the password yet."""

    email: str
    password: str
    was_generated: bool


def migrate(as_json: AsJson = False) -> None:
    """Bring the database's schema to this release's; several at once wait for each other."""
    with one_sentence():
        settings = command_settings()
        with database_url(settings, may_create=True) as url:
            before, after = migrate_schema(settings.direct_url(url))
            operator = prepare_installation(settings, url)
    show({"before": before, "after": after}, as_json=as_json)
    tell_credentials(operator)


def prepare_installation(settings: Settings, url: str) -> FirstOperator | None:
    """Check that our keys open what is stored (else EncryptionKeyMissing); make the first operator if there is none."""
    return asyncio.run(_prepare_installation(settings, url))


def tell_credentials(operator: FirstOperator | None) -> None:
    """Say the first operator's credentials, once; a password that was set is not repeated."""
    if operator is None:
        return
    if operator.was_generated:
        say(f"First operator: {operator.email} with password {operator.password} (shown only this once)")
    else:
        say(f"First operator: {operator.email} with the password from ADMIN_PASSWORD")


def reset_password(
    email: Annotated[str, typer.Argument(parser=parse_text, metavar="EMAIL", help="The account's e-mail address.")],
    as_json: AsJson = False,
) -> None:
    """Give an account a new password, printed once, and end all of its sessions."""
    password = secrets.token_urlsafe(GENERATED_PASSWORD_BYTES)
    with one_sentence():
        settings = command_settings()
        with database_url(settings) as url:
            asyncio.run(_reset_password(settings, url, email, password))
    show({"email": email, "password": password}, as_json=as_json)


async def _prepare_installation(settings: Settings, url: str) -> FirstOperator | None:
    async with open_runtime(settings, url) as runtime:
        async with runtime.database.transaction() as tx:
            await licenses.require_readable_keys(tx, runtime.vault)
            if not await users.needs_first_operator(tx):
                return None
        given = settings.admin_password
        password = given.get_secret_value() if given else secrets.token_urlsafe(GENERATED_PASSWORD_BYTES)
        password_hash = await runtime.passwords.hash(password)
        async with runtime.database.transaction() as tx:
            user = await users.create_first_operator(tx, settings.admin_email, password_hash, now=runtime.now())
    return None if user is None else FirstOperator(user.email, password, was_generated=given is None)


async def _reset_password(settings: Settings, url: str, email: str, password: str) -> None:
    async with open_runtime(settings, url) as runtime:
        password_hash = await runtime.passwords.hash(password)
        async with runtime.database.transaction() as tx:
            await users.reset_password(tx, email, password_hash, now=runtime.now())
