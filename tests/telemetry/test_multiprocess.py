"""The counters of several workers add up exactly, also when workers are killed and folded."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.telemetry.multiprocess import fold_dead_workers, prepare_multiprocess_dir, server_pids

WORKER = """
import os, sys
from app.telemetry import metrics
from app.telemetry.multiprocess import fold_dead_workers

fold_dead_workers(os.environ["PROMETHEUS_MULTIPROC_DIR"])
metrics.initialise(version="1.0.0", codes=["VALID"])
print("ready", flush=True)
for line in sys.stdin:
    order, _, number = line.strip().partition(" ")
    if order == "count":
        for _ in range(int(number)):
            metrics.validations.labels("VALID").inc()
            metrics.validation_batch_size.observe(3)
        metrics.validation_line_length.set(5)
    if order == "tell":
        metrics.backup_recovery.tell(float(number) if number else None)
    if order == "scrape":
        sys.stdout.write(metrics.render(None)[0].decode())
    print("done", flush=True)
"""

ROUNDING = 1e-6


class Worker:
    """A real process that counts and shows what all have counted."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)},
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def count(self, number: int) -> None:
        """Count so many validations."""
        self._order(f"count {number}")

    def scrape(self) -> dict[str, float]:
        """The samples of all workers by name; labels other than the code and the bucket are left out."""
        families = text_string_to_metric_families(self._order("scrape"))
        return {
            sample.name + sample.labels.get("le", ""): sample.value for family in families for sample in family.samples
        }

    def tell(self, seconds: str) -> None:
        """Have it told how long the last recovery took; nothing when empty."""
        self._order(f"tell {seconds}")

    def kill(self, *, and_collect: bool = True) -> None:
        """End the process at once; a process that nobody collects stays as a zombie."""
        self.process.send_signal(signal.SIGKILL)
        if and_collect:
            self.process.wait(10)
        else:
            os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)

    def _order(self, order: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{order}\n")
        self.process.stdin.flush()
        lines = []
        while (line := self.process.stdout.readline()) != "done\n":
            assert line
            lines.append(line)
        return "".join(lines)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A prepared folder; this process is the supervisor."""
    prepare_multiprocess_dir(tmp_path / "metrics")
    return tmp_path / "metrics"


@contextmanager
def workers(folder: Path, number: int) -> Iterator[list[Worker]]:
    """So many workers, ended with the test."""
    with ThreadPoolExecutor() as pool:
        started = list(pool.map(Worker, [folder] * number))
    try:
        yield started
    finally:
        for worker in started:
            worker.kill()
            for pipe in (worker.process.stdin, worker.process.stdout):
                assert pipe is not None
                pipe.close()


def test_totals_stay_exact_when_a_worker_is_killed_and_replaced(folder: Path) -> None:
    with workers(folder, 2) as running:
        first, second = running
        first.count(100)
        second.count(50)
        assert first.scrape()["license_server_validations_total"] == 150
        assert first.scrape()["license_server_validation_line_length"] == 10

        second.kill(and_collect=False)
        assert first.scrape()["license_server_validation_line_length"] == 5
        with workers(folder, 1) as replacements:
            replacements[0].count(7)
            samples = first.scrape()
            assert samples == {**replacements[0].scrape(), **process_samples(samples)}

    assert samples["license_server_validations_total"] == 157
    assert samples["license_server_validation_batch_size_count"] == 157
    assert samples["license_server_validation_batch_size_sum"] == 471
    assert samples["license_server_validation_batch_size_bucket2.0"] == 0
    assert samples["license_server_validation_batch_size_bucket4.0"] == 157
    assert samples["license_server_validation_line_length"] == 10
    assert samples["license_server_build_info"] == 1


def process_samples(samples: dict[str, float]) -> dict[str, float]:
    """Those that change from one look to the next."""
    return {name: value for name, value in samples.items() if name.startswith("process_")}


def test_number_of_files_stays_bounded_over_many_replacements(folder: Path) -> None:
    sizes = []
    for _ in range(4):
        with workers(folder, 1) as running:
            running[0].count(10)
            total = running[0].scrape()["license_server_validations_total"]
        sizes.append(len(list(folder.iterdir())))

    assert total == 40
    assert sizes[1:] == [sizes[1]] * 3


def test_workers_that_start_together_fold_once(folder: Path) -> None:
    with workers(folder, 2) as running:
        for worker in running:
            worker.count(10)
    with workers(folder, 3) as running:
        assert [worker.scrape()["license_server_validations_total"] for worker in running] == [20, 20, 20]


@pytest.mark.parametrize("done", ["nothing", "sums in place", "one file removed"])
def test_interrupted_fold_is_finished_by_the_next_one(folder: Path, done: str) -> None:
    with workers(folder, 2) as running:
        for worker in running:
            worker.count(10)
    dead = sorted(file.name for file in folder.glob("*_*.db") if not file.name.startswith("gauge_"))
    kept = {name: (folder / name).read_bytes() for name in dead}
    fold_dead_workers(folder)
    sums = {file.name: file.read_bytes() for file in folder.glob("*_0.db")}
    leave_interrupted_fold(folder, done, kept, sums)

    with workers(folder, 1) as running:
        assert running[0].scrape()["license_server_validations_total"] == 20
    assert not (folder / "fold.json").exists()


def leave_interrupted_fold(folder: Path, done: str, kept: dict[str, bytes], sums: dict[str, bytes]) -> None:
    """The folder as a fold leaves it that was killed after it had decided."""
    for name, content in kept.items():
        (folder / name).write_bytes(content)
    (folder / "fold.json").write_text(str(sorted(kept)).replace("'", '"'))
    if done == "nothing":
        for name, content in sums.items():
            (folder / name).unlink()
            (folder / f"{name}.fresh").write_bytes(content)
    if done == "one file removed":
        (folder / min(kept)).unlink()


def test_scrape_finishes_an_interrupted_fold_too(folder: Path) -> None:
    with workers(folder, 1) as running:
        running[0].count(10)
        (folder / "fold.json").write_text("[]")

        assert running[0].scrape()["license_server_validations_total"] == 10


def test_totals_never_fall_or_jump_while_workers_are_folded(folder: Path) -> None:
    with workers(folder, 1) as running:
        watcher = running[0]
        watcher.count(5)
        for _ in range(2):
            with workers(folder, 1) as others:
                others[0].count(10)
        with ThreadPoolExecutor() as pool:
            folding = [pool.submit(fold_dead_workers, folder) for _ in range(20)]
            seen = [watcher.scrape()["license_server_validations_total"] for _ in range(20)]

    assert seen == [25.0] * 20
    assert [fold.result() for fold in folding] == [None] * 20


def watcher_total(folder: Path) -> float:
    """What a new worker sees."""
    with workers(folder, 1) as running:
        return running[0].scrape()["license_server_validations_total"]


def test_new_run_starts_from_an_empty_folder(folder: Path) -> None:
    with workers(folder, 1) as running:
        running[0].count(10)

    prepare_multiprocess_dir(folder)

    assert list(folder.glob("*.db")) == []
    assert watcher_total(folder) == 0


def test_half_made_file_does_not_break_the_scrape(folder: Path) -> None:
    (folder / "counter_999999999.db").touch()

    assert watcher_total(folder) == 0


def test_process_metrics_cover_the_supervisor_and_every_live_worker(folder: Path) -> None:
    with workers(folder, 2) as running:
        assert server_pids(folder) == sorted([os.getpid(), *(worker.process.pid for worker in running)])
        running[1].kill()
        assert server_pids(folder) == sorted([os.getpid(), running[0].process.pid])

        samples = running[0].scrape()
        assert samples["process_resident_memory_bytes"] > 2_000_000
        assert 0 < samples["process_start_time_seconds"] < time.time()


def test_processor_time_never_falls_when_a_worker_dies(folder: Path) -> None:
    with workers(folder, 2) as running:
        running[1].count(20_000)
        before = running[0].scrape()["process_cpu_seconds_total"]
        running[1].kill(and_collect=False)
        uncollected = running[0].scrape()["process_cpu_seconds_total"]
        running[1].kill()
        collected = running[0].scrape()["process_cpu_seconds_total"]

        assert before <= uncollected + ROUNDING
        assert uncollected <= collected + ROUNDING


def test_a_late_gauge_is_absent_until_it_is_told_and_then_the_latest_workers(folder: Path) -> None:
    name = "license_server_backup_recovery_seconds"

    with workers(folder, 2) as running:
        first, second = running
        first.tell("")
        assert name not in second.scrape()

        first.tell("90")
        assert second.scrape()[name] == 90
        second.tell("30")
        assert first.scrape()[name] == 30

        second.tell("")
        assert first.scrape()[name] == 0
