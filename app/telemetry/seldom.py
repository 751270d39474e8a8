"""What happens all the time, and is worth a line only now and then."""

import time


class Seldom:
    """Whether it is time to say something again: at most once in so many seconds."""

    def __init__(self, pause_seconds: float) -> None:
        self._pause_seconds = pause_seconds
        self._said_at: float | None = None

    def is_due(self) -> bool:
        """True when nobody was told so in the last seconds; who asks tells now."""
        now = time.monotonic()
        if self._said_at is not None and now - self._said_at < self._pause_seconds:
            return False
        self._said_at = now
        return True
