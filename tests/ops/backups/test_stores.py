"""The folder as a store."""

from __future__ import annotations

import threading
from pathlib import Path

from app.ops.backups.stores import LocalStore


def test_files_that_come_and_go_while_the_folder_is_listed_do_no_harm(tmp_path: Path) -> None:
    store, is_done = LocalStore(tmp_path), threading.Event()
    (tmp_path / "kept").write_text("four")

    def come_and_go() -> None:
        while not is_done.is_set():
            (tmp_path / "brief.partial").write_text("x")
            (tmp_path / "brief.partial").unlink()

    busy = threading.Thread(target=come_and_go)
    busy.start()
    try:
        sizes = [store.list_sizes() for _ in range(3000)]
    finally:
        is_done.set()
        busy.join()

    assert {one["kept"] for one in sizes} == {4}
