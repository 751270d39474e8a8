"""What commands print: a table or card for people, JSON for programs, one sentence for a failure."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn
from uuid import UUID

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.telemetry.values import printable

FAILED = 1
UUID_LENGTH = 36
NAME_LENGTH = 63
"""The longest name that PostgreSQL has."""
WHOLE_LENGTH = 32
"""A table's first column, by which people look for a line, stays in one piece up to here."""

console = Console()


def show(card: Mapping[str, Any], *, as_json: bool) -> None:
    """One thing."""
    if as_json:
        print_json(card)
        return
    table = Table(show_header=False, box=None)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in card.items():
        table.add_row(Text(name, "bold"), _cell(value))
    console.print(table)


def show_list(
    cards: Sequence[Mapping[str, Any]], next_cursor: str | None, columns: Sequence[str], *, as_json: bool
) -> None:
    """A page of a list: all of it as JSON, or the columns that fit a terminal; and how to get the next page."""
    if as_json:
        print_json({"items": cards, "nextCursor": next_cursor})
        return
    if not cards:
        console.print("Nothing there yet.")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for position, name in enumerate(columns):
        whole = _whole_width(name, cards, is_first=position == 0)
        table.add_column(name, overflow="fold", no_wrap=whole is not None, min_width=whole)
    for card in cards:
        table.add_row(*(_cell(card[name]) for name in columns))
    console.print(table)
    if next_cursor is not None:
        console.print(Text(f"There are more: add --cursor {next_cursor}"), soft_wrap=True)


def _whole_width(name: str, cards: Sequence[Mapping[str, Any]], *, is_first: bool) -> int | None:
    """The width of a column that other commands take values from, which nothing may cut; None for any other."""
    if isinstance(cards[0][name], UUID):
        return UUID_LENGTH
    longest = max(len(in_words(card[name])) for card in cards)
    return longest if is_first and longest <= NAME_LENGTH else None


def show_table(title: str, cards: Sequence[Mapping[str, Any]]) -> None:
    """A table with its title for people; without cards it is left out."""
    if not cards:
        return
    table = Table(title=title, title_justify="left", title_style="bold", box=None, header_style="dim", pad_edge=False)
    for position, name in enumerate(cards[0]):
        is_short = max(len(in_words(card[name])) for card in cards) <= WHOLE_LENGTH
        table.add_column(name, overflow="fold", no_wrap=position == 0 and is_short)
    for card in cards:
        table.add_row(*(_cell(value) for value in card.values()))
    console.print(table)


def print_json(document: Any) -> None:
    """The document on stdout, as JSON and nothing else."""
    sys.stdout.write(write_json(document))


def write_json(document: Any) -> str:
    """The document as JSON for a file or stdout."""
    return json.dumps(document, indent=2, default=_plain) + "\n"


def print_json_line(document: Any) -> None:
    """The document on one line of stdout, at once: one of several that are read as they come."""
    sys.stdout.write(json.dumps(document, default=_plain) + "\n")
    sys.stdout.flush()


def say(sentence: str) -> None:
    """A sentence for people, on stderr so that it never mixes with JSON."""
    sys.stderr.write(sentence + "\n")
    sys.stderr.flush()


def fail(sentence: str) -> NoReturn:
    """Say what went wrong and end with exit code 1."""
    say(sentence)
    raise SystemExit(FAILED)


def _cell(value: Any) -> Text:
    """Never markup, and nothing that could steer the terminal: names come from anywhere."""
    return Text(printable(in_words(value)))


def in_words(value: Any) -> str:
    """A value as people read it; what is nested deeply stays JSON."""
    if value is None or value in ([], (), {}):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")
    if isinstance(value, list | tuple) and not any(isinstance(one, dict | list) for one in value):
        return ", ".join(map(in_words, value))
    if isinstance(value, dict) and not any(isinstance(one, dict) for one in value.values()):
        return ", ".join(f"{name}: {in_words(one)}" for name, one in value.items())
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, default=_plain)
    return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return str(value)
