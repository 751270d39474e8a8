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
    for name in columns:
        width = UUID_LENGTH if isinstance(cards[0][name], UUID) else None
        table.add_column(name, overflow="fold", min_width=width)
    for card in cards:
        table.add_row(*(_cell(card[name]) for name in columns))
    console.print(table)
    if next_cursor is not None:
        console.print(Text(f"There are more: add --cursor {next_cursor}"), soft_wrap=True)


def show_table(title: str, cards: Sequence[Mapping[str, Any]]) -> None:
    """A table with its title for people; without cards it is left out."""
    if not cards:
        return
    table = Table(title=title, title_justify="left", title_style="bold", box=None, header_style="dim", pad_edge=False)
    for name in cards[0]:
        table.add_column(name, overflow="fold")
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
    if value is None:
        return Text("-")
    if isinstance(value, datetime):
        return Text(value.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ"))
    if isinstance(value, dict | list):
        return Text(printable(json.dumps(value, default=_plain)))
    return Text(printable(str(value)))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return str(value)
