"""The server's own limit on the rate of requests."""

import time
from collections import deque


class Limiter:
    """Admits a number of requests within any one second; below one a second, spaces them out.

    It is strict: requests sent evenly at just this rate may arrive a little closer together and be refused.
    """

    def __init__(self, max_rate: float) -> None:
        self._window = max(1.0, 1.0 / max_rate)
        self._most = max(1, int(max_rate))
        self._admitted: deque[float] = deque(maxlen=self._most)

    def admits(self) -> bool:
        """Return whether a request may pass now; one that may not does not count."""
        now = time.monotonic()
        if len(self._admitted) == self._most and now - self._admitted[0] < self._window:
            return False
        self._admitted.append(now)
        return True
