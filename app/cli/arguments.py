"""The kinds of arguments that commands take, as strict as the HTTP door: a wrong one is told with the usage."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

import typer
from pydantic.networks import validate_email

from app.domain import words
from app.domain.license_keys import MAX_LENGTH
from app.domain.security import parse_window

MIN_IMPORTED_KEY_LENGTH = 8
Value = TypeVar("Value")

MOMENT_FORMATS = ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ")


def parser(require: Callable[[str], Value]) -> Callable[[str], Value]:
    """The parser of an argument out of what raises ValueError for a wrong one."""

    def parse(text: str) -> Value:
        try:
            return require(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error

    return parse


def parse_moment(text: str) -> datetime:
    """A day or a time in UTC."""
    for form in MOMENT_FORMATS:
        try:
            moment = datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        earliest, latest = words.YEARS
        if earliest <= moment.year <= latest:
            return moment
        raise typer.BadParameter(f"must lie between the years {earliest} and {latest}")
    raise typer.BadParameter("must be a day such as 2030-12-31 or a time in UTC such as 2030-12-31T18:00:00Z")


def parse_length(text: str) -> timedelta:
    """A length of time from five minutes to seven days."""
    try:
        return parse_window(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _require_email(text: str) -> str:
    return validate_email(words.require_printable(text))[1]


parse_text = parser(words.require_text)
parse_long_text = parser(partial(words.require_text, longest=words.MAX_LONG_TEXT_LENGTH))
parse_imported_key = parser(partial(words.require_text, longest=MAX_LENGTH, shortest=MIN_IMPORTED_KEY_LENGTH))
parse_product_id = parser(words.require_product_id)
parse_tier = parser(words.require_tier)
parse_email = parser(_require_email)
