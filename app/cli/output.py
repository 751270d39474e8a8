"""What commands print: a table or card for people, JSON for programs, one sentence for a failure."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table

FAILED = 1

console = Console()


def show(card: Mapping[str, Any], *, as_json: bool) -> None:
    """One thing."""
    if as_json:
        print_json(card)
        return
    table = Table(show_header=False, box=None)
    for name, value in card.items():
        table.add_row(f"[bold]{name}[/bold]", _cell(value))
    console.print(table)


def show_list(cards: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Several things of one kind."""
    if as_json:
        print_json({"items": cards})
        return
    if not cards:
        console.print("Nothing there yet.")
        return
    table = Table()
    for name in cards[0]:
        table.add_column(name, overflow="fold")
    for card in cards:
        table.add_row(*(_cell(value) for value in card.values()))
    console.print(table)


def print_json(document: Any) -> None:
    """The document on stdout, as JSON and nothing else."""
    sys.stdout.write(json.dumps(document, indent=2, default=_plain) + "\n")


def say(sentence: str) -> None:
    """A sentence for people, on stderr so that it never mixes with JSON."""
    sys.stderr.write(sentence + "\n")
    sys.stderr.flush()


def fail(sentence: str) -> NoReturn:
    """Say what went wrong and end with exit code 1."""
    say(sentence)
    raise SystemExit(FAILED)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, dict | list):
        return json.dumps(value, default=_plain)
    return str(_plain(value))


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)
