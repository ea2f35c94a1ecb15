"""What the server saw: the requests, and how closely they came."""

import time
from collections import Counter, deque
from collections.abc import MutableSequence
from dataclasses import dataclass
from threading import Lock
from typing import Any


@dataclass(slots=True)
class ReceivedRequest:
    """One request, and what the server chose to answer: `status` 0 means nothing at all."""

    time: float
    endpoint: str
    body: dict[str, Any] | None
    headers: dict[str, str]
    page: int | None = None
    status: int = 0
    code: int | None = None
    request_id: str | None = None


class Statistics:
    """Counts requests, those in flight, and the most within any one second."""

    def __init__(self, *, kept_requests: int | None = None) -> None:
        self._kept_requests = kept_requests
        self._lock = Lock()
        self.in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Forget all but the requests still in flight."""
        with self._lock:
            self._requests: MutableSequence[ReceivedRequest] = (
                [] if self._kept_requests is None else deque(maxlen=self._kept_requests)
            )
            self._last_second: deque[float] = deque()
            self.counts: Counter[str] = Counter()
            self.max_in_flight = self.in_flight
            self.max_requests_in_one_second = 0

    @property
    def requests(self) -> list[ReceivedRequest]:
        """Return the requests so far, in order of arrival."""
        with self._lock:
            return list(self._requests)

    def arrived(
        self, endpoint: str, body: dict[str, Any] | None, headers: dict[str, str], page: int | None
    ) -> ReceivedRequest:
        """Note a request that is complete."""
        now = time.monotonic()
        request = ReceivedRequest(now, endpoint, body, headers, page)
        with self._lock:
            self._requests.append(request)
            self.counts[endpoint] += 1
            self.in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self.in_flight)
            self._last_second.append(now)
            while self._last_second[0] <= now - 1:
                self._last_second.popleft()
            self.max_requests_in_one_second = max(self.max_requests_in_one_second, len(self._last_second))
        return request

    def left(self) -> None:
        """Note that a request is answered or given up."""
        with self._lock:
            self.in_flight -= 1

    def summary(self) -> dict[str, Any]:
        """Return the counts alone."""
        with self._lock:
            return {
                "requests": sum(self.counts.values()),
                "max_in_flight": self.max_in_flight,
                "max_requests_in_one_second": self.max_requests_in_one_second,
                "endpoints": dict(self.counts),
            }
