"""Named SQL statements, one file each."""

from __future__ import annotations

from importlib.resources import files
from typing import LiteralString


def read_sql(name: str) -> LiteralString:
    """The statement in `<name>.sql` beside this file, or in a folder of it."""
    return files(__package__).joinpath(f"{name}.sql").read_text()
