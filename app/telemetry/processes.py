"""The `process_*` metrics of this server: one process, or the supervisor and its workers together."""

import os
import resource
from collections.abc import Callable, Iterable

import psutil
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class ProcessesCollector(Collector):
    """Collects memory, time, start and open files, summed over the processes that `pids` names."""

    def __init__(self, pids: Callable[[], list[int]] = lambda: [os.getpid()]) -> None:
        self._pids = pids

    def describe(self) -> Iterable[Metric]:
        """The metrics without values, so that a registry knows the names without a look at the processes."""
        return _families(cpu=0, resident=0, virtual=0, started=0, open_files=0, most_files=0)

    def collect(self) -> Iterable[Metric]:
        """The sums now; the time of children that ended counts, so that it never falls when a worker dies."""
        cpu = resident = virtual = open_files = 0.0
        started: list[float] = []
        for pid in self._pids():
            try:
                process = psutil.Process(pid)
                with process.oneshot():
                    cpu += sum(process.cpu_times()[:4])
                    memory = process.memory_info()
                    started.append(process.create_time())
                open_files += process.num_fds()
            except psutil.Error:
                continue
            resident += memory.rss
            virtual += memory.vms

        most_files = resource.getrlimit(resource.RLIMIT_NOFILE)[0] * len(started)
        return _families(cpu, resident, virtual, min(started, default=0.0), open_files, most_files)


def _families(
    cpu: float, resident: float, virtual: float, started: float, open_files: float, most_files: float
) -> list[Metric]:
    return [
        CounterMetricFamily("process_cpu_seconds_total", "User and system CPU time, in seconds.", value=cpu),
        GaugeMetricFamily("process_resident_memory_bytes", "Resident memory, in bytes.", value=resident),
        GaugeMetricFamily("process_virtual_memory_bytes", "Virtual memory, in bytes.", value=virtual),
        GaugeMetricFamily("process_start_time_seconds", "When the server started, Unix time.", value=started),
        GaugeMetricFamily("process_open_fds", "Open file descriptors.", value=open_files),
        GaugeMetricFamily("process_max_fds", "File descriptors that may be open.", value=most_files),
    ]
