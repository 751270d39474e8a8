"""Resources of the machine: how much of them is used, and when that is too much."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.findings import Finding, Level
from app.domain.words import ByteCount

CPU_WARNING = 0.8
MEMORY_WARNING = 90.0


@dataclass(frozen=True, slots=True)
class ResourceUse:
    """How much of the machine is used; `load` is how many processes ran or wanted to, on average of five minutes."""

    load: float
    cpus: int
    memory_percent: float
    memory_available: ByteCount


def judge_resources(use: ResourceUse) -> list[Finding]:
    """A finding for the CPU and one for the memory."""
    cpu = Level.WARNING if use.load > CPU_WARNING * use.cpus else Level.GOOD
    memory = Level.WARNING if use.memory_percent > MEMORY_WARNING else Level.GOOD
    return [
        Finding("cpu", cpu, f"In the last five minutes {use.load:.1f} processes wanted one of {use.cpus} CPUs."),
        Finding(
            "memory",
            memory,
            f"The memory of the machine is used to {use.memory_percent:.0f} %, {use.memory_available} are available.",
        ),
    ]
