"""The folder as a store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from app.ops.backups.stores import LocalStore

COME_AND_GO = """
import pathlib, sys
brief = pathlib.Path(sys.argv[1], "brief.partial")
while True:
    brief.write_text("x")
    brief.unlink()
"""


def test_files_that_come_and_go_while_the_folder_is_listed_do_no_harm(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    (tmp_path / "kept").write_text("four")

    with subprocess.Popen([sys.executable, "-c", COME_AND_GO, str(tmp_path)]) as busy:
        try:
            sizes = [store.list_sizes() for _ in range(20_000)]
        finally:
            busy.kill()

    assert {one["kept"] for one in sizes} == {4}
