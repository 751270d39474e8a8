"""Series: what was measured over time, as Prometheus would have scraped it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

Labels = tuple[tuple[str, str], ...]
"""Names and values, sorted by name; the name of the metric is not one of them."""


def labels_of(**values: str) -> Labels:
    """Labels in their order: `labels_of(code="VALID")`."""
    return tuple(sorted(values.items()))


@dataclass(frozen=True, slots=True)
class Series:
    """The samples of one metric with one set of labels: moments (seconds since 1970, rising) and values."""

    labels: Labels
    samples: Sequence[tuple[float, float]]


class History(Protocol):
    """What is known of the last hours."""

    def select(self, metric: str) -> Iterable[Series]:
        """All series of a metric, by the name of its samples (`..._total`, `..._bucket`)."""
        ...
