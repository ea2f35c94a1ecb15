"""The server's clock, which may be wrong."""

import time
from email.utils import formatdate
from functools import lru_cache


class Clock:
    """The true time plus an offset in seconds."""

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset

    def now(self) -> float:
        """Return the time in epoch seconds."""
        return time.time() + self.offset

    def http_date(self, seconds_ahead: float = 0.0) -> str:
        """Return the time as HTTP headers write it."""
        return _http_date(int(self.now() + seconds_ahead))


@lru_cache(maxsize=16)
def _http_date(second: int) -> str:
    return formatdate(second, usegmt=True)
