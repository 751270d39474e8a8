"""PostgreSQL's tools: where pg_dump and pg_restore are, and of which version."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

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


def find_fitting_tool(name: str, major: int) -> tuple[Path, str] | None:
    """The program of this major version, or the next later one, and its version; None without any.

    An older one refuses the server, or the file; a later one may write what only later servers understand.
    """
    fitting = [(path, version) for path, version in _installed(name) if _major(version) >= major]
    return min(fitting, key=lambda one: _major(one[1]), default=None)


def find_newest_tool(name: str) -> tuple[Path, str] | None:
    """The newest program of this name, which reads every file, and its version; None without any."""
    return max(_installed(name), key=lambda one: _major(one[1]), default=None)


def connection_environment(url: str) -> dict[str, str]:
    """The environment that makes libpq's programs connect there; a command line could be read by everybody."""
    variables = _variables()
    given = conninfo_to_dict(url)
    return {variables[name]: str(value) for name, value in given.items() if name in variables and value is not None}


def libpq_variables() -> frozenset[str]:
    """The names of the variables that libpq reads where an address does not say something."""
    return frozenset({*_variables().values(), "PGPASSFILE", "PGSYSCONFDIR"})


def _variables() -> dict[str, str]:
    """The variable of each keyword of an address."""
    return {one.keyword.decode(): one.envvar.decode() for one in Conninfo.get_defaults() if one.envvar}


def _candidates(name: str) -> list[Path]:
    """All programs of this name that are known: ours, those on the PATH, and Debian's by version."""
    ours = find_tool(name)
    on_path = shutil.which(name)
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return list(dict.fromkeys([*([ours] if ours else []), *([Path(on_path)] if on_path else []), *debian]))


def _installed(name: str) -> list[tuple[Path, str]]:
    """The programs that run, each with its version."""
    return [(path, version) for path in _candidates(name) if (version := _full_version(path)) is not None]


def _major(version: str) -> int:
    return int(version.partition(".")[0])


def _full_version(path: Path) -> str | None:
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
    match = re.search(r"\(PostgreSQL\) (\d+(?:\.\d+)?)", said.stdout)
    return match[1] if match else None
