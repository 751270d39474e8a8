"""Commands about the security of the installation."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

import typer

from app.cli.arguments import parse_length
from app.cli.context import AsJson, run
from app.cli.output import console, print_json, show_table
from app.db.session import Session
from app.domain.security import (
    Leader,
    OddLicense,
    Pattern,
    SecuritySummary,
    Thresholds,
    choose_window,
)
from app.domain.words import camel_case
from app.ops import security
from app.runtime import Runtime

app = typer.Typer(no_args_is_help=True, help="Security: what happened, who leads, which validations are odd.")


@app.callback()
def group() -> None:
    """Keep `summary` a word of its own while it is the only command."""


@app.command("summary")
def summary(
    window: Annotated[
        timedelta | None,
        typer.Option(parser=parse_length, metavar="LENGTH", help="From 5m to 7d: 90m, 7d; 24h when left out."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show security events and odd validations of the last time, with those that lead."""

    async def work(tx: Session, runtime: Runtime) -> SecuritySummary:
        return await security.summarize(tx, choose_window(window, None, None, runtime.now()), Thresholds())

    found = run(work)
    if as_json:
        print_json(_document(found))
        return
    if not (found.events or found.odd_licenses or found.key_guessers):
        console.print("Nothing happened.")
    show_table("Events", [{"event": one.name, **_count(one)} for one in found.events])
    for kind in found.kinds:
        leaders = (*kind.addresses, *kind.accounts, *kind.licenses)
        show_table(_title(kind.kind), [{"who": one.title or one.name, **_count(one)} for one in leaders])
    odd = [
        {"pattern": _title(one.pattern), "license": one.license_id, "organization": one.organization, **_count(one)}
        for one in found.odd_licenses
    ]
    show_table("Odd licenses", odd)
    show_table("Addresses with many unknown keys", [{"address": one.name, **_count(one)} for one in found.key_guessers])


def _document(found: SecuritySummary) -> dict[str, Any]:
    return {
        "since": found.window.since,
        "until": found.window.until,
        "events": [{"event": one.name, **_count(one)} for one in found.events],
        "kinds": [
            {
                "kind": kind.kind,
                "count": kind.count,
                "addresses": [{"address": one.name, **_count(one)} for one in kind.addresses],
                "accounts": [{"account": one.name, "name": one.title, **_count(one)} for one in kind.accounts],
                "licenses": [
                    {"licenseId": one.name, "organization": one.title, **_count(one)} for one in kind.licenses
                ],
            }
            for kind in found.kinds
        ],
        "patterns": {
            **{
                camel_case(pattern): [_odd(one) for one in found.odd_licenses if one.pattern == pattern]
                for pattern in Pattern
            },
            "manyUnknownKeys": [{"address": one.name, **_count(one)} for one in found.key_guessers],
        },
        "thresholds": {camel_case(name): number for name, number in asdict(found.thresholds).items()},
    }


def _odd(one: OddLicense) -> dict[str, Any]:
    return {
        "licenseId": one.license_id,
        "organization": one.organization,
        **_count(one),
        "countBefore": one.earlier,
    }


def _count(one: Leader | OddLicense) -> dict[str, Any]:
    return {"count": one.count, "lastSeenAt": one.last_seen_at}


def _title(word: str) -> str:
    return word.replace("_", " ").capitalize()
