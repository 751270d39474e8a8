"""Counters of several workers: one folder of memory-mapped files, a few for each worker, dead ones folded in.

The supervisor calls `prepare_multiprocess_dir` and puts the folder into PROMETHEUS_MULTIPROC_DIR before it
spawns workers (prometheus_client looks at that variable when it is imported). Each worker calls
`fold_dead_workers` when it starts. A scrape takes the folder's lock shared, folding takes it exclusive:
nothing is counted twice or missed. The library has no annotations here, hence the ignores.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

_LOCK = "folder.lock"
_SUPERVISOR = "supervisor.pid"
_JOURNAL = "fold.json"
_FOLDED_PID = 0
_LOCK_SECONDS = 2.0
_LOCK_PAUSE_SECONDS = 0.005


def prepare_multiprocess_dir(path: str | Path) -> None:
    """Make the folder, empty it of an earlier run's files, and note this process as the supervisor."""
    folder = Path(path)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(folder, fcntl.LOCK_EX):
        for name in [_JOURNAL, *(file.name for file in folder.glob("*.db*"))]:
            (folder / name).unlink(missing_ok=True)
        (folder / _SUPERVISOR).write_text(str(os.getpid()))


def fold_dead_workers(path: str | Path) -> None:
    """Add what dead workers counted to one common file and forget their gauges; safe to be killed midway."""
    folder = Path(path)
    with _locked(folder, fcntl.LOCK_EX):
        _finish_interrupted_fold(folder)
        dead = [file for file in _value_files(folder) if not _is_alive(_pid_of(file))]
        for gauges in [file for file in dead if file.name.startswith("gauge_")]:
            gauges.unlink()

        folded = [file.name for file in dead if not file.name.startswith("gauge_")]
        for kind in sorted({name.split("_")[0] for name in folded}):
            _write_sums(folder, kind, [name for name in folded if name.startswith(f"{kind}_")])
        if folded:
            _write_journal(folder, folded)
            _finish_interrupted_fold(folder)


def server_pids(path: str | Path) -> list[int]:
    """The processes of this server: the supervisor, and its workers until it has collected them."""
    folder = Path(path)
    pids = {_pid_of(file) for file in _value_files(folder)} - {_FOLDED_PID}
    try:
        pids.add(int((folder / _SUPERVISOR).read_text()))
    except (OSError, ValueError):
        pids.add(os.getpid())
    return sorted(pid for pid in pids if psutil.pid_exists(pid))


class WorkersCollector(Collector):
    """Collects what all workers, alive and folded, counted together."""

    def __init__(self, path: str | Path) -> None:
        self._folder = Path(path)

    def collect(self) -> Iterable[Metric]:
        """The sums over the workers; gauges only of those alive."""
        with _locked(self._folder, fcntl.LOCK_SH) as is_clean:
            if is_clean:
                return self._merged()
        fold_dead_workers(self._folder)
        with _locked(self._folder, fcntl.LOCK_SH):
            return self._merged()

    def _merged(self) -> Iterable[Metric]:
        files = [
            str(file)
            for file in _value_files(self._folder)
            if file.stat().st_size > 0 and not (file.name.startswith("gauge_") and not _is_alive(_pid_of(file)))
        ]
        merged: Iterable[Metric] = MultiProcessCollector.merge(files, accumulate=True)  # type: ignore[no-untyped-call]
        return list(merged)


@contextmanager
def _locked(folder: Path, mode: int) -> Iterator[bool]:
    """Hold the folder's lock; says whether no interrupted fold is left over. TimeoutError after 2 s."""
    deadline = time.monotonic() + _LOCK_SECONDS
    with (folder / _LOCK).open("a") as lock:
        while True:
            try:
                fcntl.flock(lock, mode | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"another process holds {folder / _LOCK}") from None
                time.sleep(_LOCK_PAUSE_SECONDS)
        yield not (folder / _JOURNAL).exists()


def _write_sums(folder: Path, kind: str, names: Iterable[str]) -> None:
    """Write the sums of the named files and the common file beside the common file."""
    sums: dict[str, float] = {}
    for file in [_common(folder, kind), *(folder / name for name in names)]:
        if file.exists() and file.stat().st_size > 0:
            entries = MmapedDict.read_all_values_from_file(str(file))  # type: ignore[no-untyped-call]
            for key, value, _, _ in entries:
                sums[key] = sums.get(key, 0.0) + value

    fresh = _fresh(folder, kind)
    fresh.unlink(missing_ok=True)
    values = MmapedDict(str(fresh))  # type: ignore[no-untyped-call]
    for key, value in sums.items():
        values.write_value(key, value, 0.0)  # type: ignore[no-untyped-call]
    values.close()  # type: ignore[no-untyped-call]


def _write_journal(folder: Path, folded: list[str]) -> None:
    """From this moment on the fold is decided: whoever comes next finishes it."""
    draft = folder / f"{_JOURNAL}.db.draft"
    draft.write_text(json.dumps(folded))
    draft.replace(folder / _JOURNAL)


def _finish_interrupted_fold(folder: Path) -> None:
    """Put the decided sums in place and remove the files they hold; harmless to repeat at any point."""
    journal = folder / _JOURNAL
    if not journal.exists():
        return
    folded = json.loads(journal.read_text())
    for kind in sorted({name.split("_")[0] for name in folded}):
        fresh = _fresh(folder, kind)
        if fresh.exists():
            fresh.replace(_common(folder, kind))
    for name in folded:
        (folder / name).unlink(missing_ok=True)
    journal.unlink()


def _value_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*_*.db"))


def _common(folder: Path, kind: str) -> Path:
    return folder / f"{kind}_{_FOLDED_PID}.db"


def _fresh(folder: Path, kind: str) -> Path:
    return folder / f"{kind}_{_FOLDED_PID}.db.fresh"


def _pid_of(file: Path) -> int:
    """The process a file belongs to: counter_123.db, gauge_livesum_123.db."""
    return int(file.stem.rsplit("_", 1)[1])


def _is_alive(pid: int) -> bool:
    """Whether the process can still count; one that only waits to be collected by its parent cannot."""
    if pid == _FOLDED_PID:
        return True
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
