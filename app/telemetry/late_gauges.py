"""Gauges that say nothing before there is something to say: a 0 would be a moment in 1970, and set off alerts."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Gauge
from prometheus_client.samples import Sample


class LateGauge(Gauge):
    """A gauge without labels that is absent until it is told its first value, also in the files of several workers.

    The library makes the value of such a gauge, 0, when it is declared; here that waits.
    """

    _has_value = False

    def tell(self, value: float | None) -> None:
        """The present value; None is absent at first, and 0 once there was one."""
        if value is None and not self._has_value:
            return
        if not self._has_value:
            super()._metric_init()
            self._has_value = True
        self.set(value or 0.0)

    def _metric_init(self) -> None:
        """Nothing yet."""

    def _child_samples(self) -> Iterable[Sample]:
        return super()._child_samples() if self._has_value else ()
