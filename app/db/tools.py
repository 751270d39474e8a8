"""PostgreSQL's tools: where pg_dump and pg_restore are, and of which version."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from app.db.embedded import installed_bin_dir
from app.db.programs import EmbeddedPostgresError

TOOLS = ("pg_dump", "pg_restore")
TOOL_SECONDS = 3.0


def find_tool(name: str) -> Path | None:
    """The program that came with us, or else the one on the PATH."""
    try:
        ours = installed_bin_dir() / name
    except EmbeddedPostgresError:
        ours = Path()
    found = str(ours) if ours.is_file() else shutil.which(name)
    return None if found is None else Path(found)


def tool_version(path: Path) -> int | None:
    """18 of a program that says `pg_dump (PostgreSQL) 18.6`; None when it does not run."""
    try:
        said = subprocess.run(
            [path, "--version"],
            check=True,
            capture_output=True,
            text=True,
            timeout=TOOL_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"\(PostgreSQL\) (\d+)", said.stdout)
    return int(match[1]) if match else None
