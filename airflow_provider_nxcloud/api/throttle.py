"""How many requests may be under way at once and start in a second: one gate for all threads of a task."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from math import floor, inf

from airflow_provider_nxcloud.api.errors import NXCloudRateLimitError


class Throttle:
    """
    The gate that each request passes; a server's wish for fewer requests closes it for all threads alike.

    A request counts against ``requests_per_second`` from its start until one second after its answer. The
    server receives it somewhere between the two, so no one-second span that the server sees can hold more,
    whatever the network does to the spacing.

    :param max_concurrency: requests under way at once, at most
    :param requests_per_second: ceiling of requests in any one-second span; below 1, one request in
        ``1 / requests_per_second`` seconds; None for no ceiling
    :param longest_pause: seconds; while the server asks for a longer pause, requests fail instead of waiting
    """

    def __init__(
        self, max_concurrency: int, requests_per_second: float | None = None, *, longest_pause: float = inf
    ) -> None:
        if max_concurrency < 1:
            raise ValueError(f"max_concurrency must be at least 1, not {max_concurrency}")
        if requests_per_second is not None and not 0 < requests_per_second < inf:
            raise ValueError(f"requests_per_second must be above 0, not {requests_per_second}")
        self.max_concurrency = max_concurrency
        self._limit = max_concurrency
        self._capacity = inf if requests_per_second is None else max(1, floor(requests_per_second))
        self._period = 1.0 if requests_per_second is None else max(1.0, 1 / requests_per_second)
        self._longest_pause = longest_pause
        self._changed = threading.Condition()
        self._closed = False
        self._in_flight = 0
        self._finished: deque[float] = deque()
        self._paused_until = 0.0
        self._slowed_at = 0.0
        self._successes = 0
        self._waiting_for_rate = 0

    @property
    def in_flight(self) -> int:
        """Requests under way now."""
        return self._in_flight

    @property
    def waiting_for_rate(self) -> int:
        """Threads that a rate limit, ours or the server's, holds back now."""
        return self._waiting_for_rate

    @contextmanager
    def request(self) -> Iterator[float]:
        """
        Hold one place at the server for the length of the block; yields the start (monotonic seconds).

        :raises CancelledError: when the gate was closed
        :raises NXCloudRateLimitError: when the server asked for a pause beyond ``longest_pause``
        """
        started = self._enter()
        try:
            yield started
        finally:
            self._leave()

    def _enter(self) -> float:
        with self._changed:
            while True:
                if self._closed:
                    raise CancelledError
                now = time.monotonic()
                delay = self._seconds_until_allowed(now)
                if delay <= 0 and self._in_flight < self._limit:
                    self._in_flight += 1
                    return now
                self._wait(delay)

    def _wait(self, delay: float) -> None:
        """Wait for a change; where ``delay`` is positive and finite, no longer than that."""
        rate_bound = delay > 0
        self._waiting_for_rate += rate_bound
        self._changed.wait(delay if 0 < delay < inf else None)
        self._waiting_for_rate -= rate_bound

    def _seconds_until_allowed(self, now: float) -> float:
        """Seconds until pause and rate allow a start; infinite while only an answer can free a place."""
        pause = self._paused_until - now
        if pause > self._longest_pause:
            raise NXCloudRateLimitError(f"NXCloud asked to wait, {pause:.0f} s more", code=429, retry_after=pause)
        while self._finished and self._finished[0] <= now - self._period:
            self._finished.popleft()
        if self._in_flight + len(self._finished) < self._capacity:
            return pause
        if not self._finished:
            return inf
        return max(pause, self._finished[0] + self._period - now)

    def _leave(self) -> None:
        with self._changed:
            self._in_flight -= 1
            if self._capacity < inf:
                self._finished.append(time.monotonic())
            self._changed.notify_all()

    def slow_down(self, seconds: float, *, started: float) -> None:
        """
        Hold all new requests back for ``seconds`` and halve the concurrency.

        Answers to requests that started before the last halving belong to the same burst and halve no further.

        :param started: what :meth:`request` yielded for the request that was refused
        """
        with self._changed:
            now = time.monotonic()
            self._paused_until = max(self._paused_until, now + seconds)
            self._successes = 0
            if started >= self._slowed_at:
                self._limit = max(1, self._limit // 2)
                self._slowed_at = now
            self._changed.notify_all()

    def succeeded(self) -> None:
        """Count a good answer; one round of them gives one place of a lowered concurrency back."""
        if self._limit == self.max_concurrency:
            return
        with self._changed:
            self._successes += 1
            if self._successes >= self._limit:
                self._successes = 0
                self._limit = min(self.max_concurrency, self._limit + 1)
                self._changed.notify_all()

    def sleep(self, seconds: float) -> None:
        """
        Sleep, but wake up at once when the gate is closed.

        :raises CancelledError: when the gate was closed
        """
        end = time.monotonic() + seconds
        with self._changed:
            while not self._closed and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)
            if self._closed:
                raise CancelledError

    def close(self) -> None:
        """Let no further request start, and wake everything that waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
