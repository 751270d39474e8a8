"""Commands about backups."""

from __future__ import annotations

import pyrage
import typer

from app.cli.context import AsJson
from app.cli.output import print_json

app = typer.Typer(no_args_is_help=True, help="Backups: the catalog, trials, and what is kept how long.")


@app.command("generate-key")
def generate_key(as_json: AsJson = False) -> None:
    """Print a new key for BACKUP_ENCRYPTION_KEY; keep a copy of it elsewhere, or the backups are lost with it."""
    key = str(pyrage.x25519.Identity.generate())
    print_json({"key": key}) if as_json else typer.echo(key)
