"""The gate of all requests: in simulated time where possible, and by the server's own count."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from math import inf
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_nxcloud.api import throttle as throttle_module
from airflow_provider_nxcloud.api.errors import NXCloudRateLimitError
from airflow_provider_nxcloud.api.throttle import Throttle
from tests.api.conftest import client_of, examples, fetch
from tests.conftest import wait_until
from tests.emulator import Emulator, Fault

StartEmulator = Callable[..., Emulator]


class BlockedError(Exception):
    """Nothing that is under way can let the next request start."""


class SimulatedTime:
    """A clock and a condition variable for one thread: waiting moves the clock to the next answer."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._answers: list[tuple[float, int, AbstractContextManager[float]]] = []
        self._numbers = count()

    def monotonic(self) -> float:
        return self.now

    def Condition(self) -> SimulatedTime:  # noqa: N802
        return self

    def __enter__(self) -> None:
        """Do nothing: there is one thread."""

    def __exit__(self, *error: object) -> None:
        """Do nothing."""

    def notify_all(self) -> None:
        """Do nothing: whoever waits looks again by itself."""

    def wait(self, seconds: float | None = None) -> None:
        """Move on to the next answer, or to the end of the wait."""
        until = inf if seconds is None else self.now + seconds
        if self._answers and self._answers[0][0] <= until:
            self.now, _, answered = heapq.heappop(self._answers)
            answered.__exit__(None, None, None)
        elif until == inf:
            raise BlockedError
        else:
            self.now = until

    def idle(self, seconds: float) -> None:
        """Let time pass, answers included."""
        until = self.now + seconds
        while self.now < until:
            self.wait(until - self.now)

    def send(self, throttle: Throttle, latency: float) -> float:
        """Start a request that is answered after a while, and return when it started."""
        request = throttle.request()
        started = request.__enter__()
        heapq.heappush(self._answers, (self.now + latency, next(self._numbers), request))
        return started

    def places(self, throttle: Throttle) -> int:
        """Return how many requests may be under way at once."""
        requests = []
        while True:
            request = throttle.request()
            try:
                request.__enter__()
            except BlockedError:
                break
            requests.append(request)
        for request in requests:
            request.__exit__(None, None, None)
        return len(requests)


@contextmanager
def simulated_time() -> Iterator[SimulatedTime]:
    simulation = SimulatedTime()
    with (
        mock.patch.object(throttle_module, "time", simulation),
        mock.patch.object(throttle_module, "threading", simulation),
    ):
        yield simulation


class TestArguments:
    @pytest.mark.parametrize("max_concurrency", [0, -1])
    def test_concurrency(self, max_concurrency: int) -> None:
        with pytest.raises(ValueError, match="max_concurrency must be at least 1"):
            Throttle(max_concurrency)

    @pytest.mark.parametrize("requests_per_second", [0, -1, float("inf"), float("nan")])
    def test_rate(self, requests_per_second: float) -> None:
        with pytest.raises(ValueError, match="requests_per_second must be above 0"):
            Throttle(1, requests_per_second)


class TestConcurrency:
    @pytest.mark.parametrize("limit", [1, 2, 8, 64])
    def test_is_bounded(self, limit: int) -> None:
        with simulated_time() as simulation:
            assert simulation.places(Throttle(limit)) == limit

    def test_a_place_is_free_after_a_failure(self) -> None:
        throttle = Throttle(1)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError), throttle.request():
                raise ZeroDivisionError
        assert throttle.in_flight == 0

    def test_the_server_never_sees_more(self, emulator: StartEmulator) -> None:
        server = emulator(latency=0.01)
        client = client_of(server, max_concurrency=3)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: fetch(client), range(60)))
        assert server.max_in_flight == 3


class TestRate:
    @examples(80)
    @given(
        rate=st.floats(0.1, 20),
        max_concurrency=st.integers(1, 8),
        requests=st.lists(
            st.tuples(st.floats(0, 3), st.floats(0, 1), st.just(0.0) | st.floats(0, 2)), min_size=2, max_size=60
        ),
    )
    def test_no_span_holds_more_wherever_in_between_the_server_counts(
        self, rate: float, max_concurrency: int, requests: list[tuple[float, float, float]]
    ) -> None:
        with simulated_time() as simulation:
            throttle = Throttle(max_concurrency, rate)
            received = []
            for latency, share, idle in requests:
                started = simulation.send(throttle, latency)
                received.append(started + share * latency)
                simulation.idle(idle)
        received.sort()
        capacity, period = max(1, int(rate)), max(1.0, 1 / rate)
        for first, beyond in zip(received, received[capacity:], strict=False):
            assert beyond - first >= period * (1 - 1e-9)

    @pytest.mark.parametrize(("rate", "seconds"), [(1, 9), (2, 4), (2.9, 4), (5, 1), (10, 0), (0.5, 18), (0.25, 36)])
    def test_is_used_up(self, rate: float, seconds: float) -> None:
        with simulated_time() as simulation:
            throttle = Throttle(8, rate)
            starts = [simulation.send(throttle, latency=0) for _ in range(10)]
        assert starts[-1] - starts[0] == pytest.approx(seconds)

    @pytest.mark.parametrize(("rate", "requests"), [(10, 15), (2.5, 3), (0.8, 2)])
    def test_the_server_never_sees_more(self, emulator: StartEmulator, rate: float, requests: int) -> None:
        server = emulator(max_rate=rate, latency=0.02)
        client = client_of(server, requests_per_second=rate)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: fetch(client), range(requests)))
        assert server.max_requests_in_one_second == max(1, int(rate))
        assert client.retries == 0  # the server counts strictly, and never had to refuse

    def test_retries_count_as_well(self, emulator: StartEmulator) -> None:
        server = emulator()
        server.add_fault(Fault("status", times=4))
        fetch(client_of(server, requests_per_second=3))
        assert len(server.requests) == 5
        assert server.max_requests_in_one_second == 3

    def test_those_who_wait_are_counted(self) -> None:
        throttle = Throttle(8, 1)
        with ThreadPoolExecutor(3) as pool:

            def pass_through() -> None:
                with throttle.request():
                    pass

            futures = [pool.submit(pass_through) for _ in range(3)]
            wait_until(lambda: throttle.waiting_for_rate == 2)
            throttle.close()
        assert sum(isinstance(future.exception(), CancelledError) for future in futures) == 2
        assert throttle.waiting_for_rate == 0


class TestSlowDown:
    def test_holds_all_back(self) -> None:
        with simulated_time() as simulation:
            throttle = Throttle(8)
            throttle.slow_down(5, started=simulation.now)
            assert simulation.send(throttle, 1) == 1005

    def test_a_shorter_wish_does_not_shorten_a_longer_one(self) -> None:
        with simulated_time() as simulation:
            throttle = Throttle(8)
            throttle.slow_down(5, started=simulation.now)
            throttle.slow_down(1, started=simulation.now)
            assert simulation.send(throttle, 1) == 1005

    def test_holds_back_those_who_wait_for_the_rate_too(self) -> None:
        with simulated_time() as simulation:
            throttle = Throttle(8, 1)
            simulation.send(throttle, 0)
            throttle.slow_down(5, started=simulation.now)
            assert simulation.send(throttle, 0) == 1005

    def test_beyond_the_longest_pause_requests_fail_until_it_has_come_near(self) -> None:
        with simulated_time() as simulation:
            throttle = Throttle(8, longest_pause=60)
            throttle.slow_down(100, started=simulation.now)
            with pytest.raises(NXCloudRateLimitError) as caught:
                simulation.send(throttle, 1)
            assert caught.value.retry_after == 100
            assert throttle.in_flight == 0
            simulation.now += 40
            assert simulation.send(throttle, 1) == 1100

    def test_wakes_those_who_wait_for_a_longer_pause(self) -> None:
        throttle = Throttle(8, longest_pause=60)
        throttle.slow_down(50, started=time.monotonic())
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(throttle.request().__enter__)
            wait_until(lambda: throttle.waiting_for_rate == 1)
            throttle.slow_down(100, started=0)
            assert isinstance(future.exception(10), NXCloudRateLimitError)

    def test_halves_the_concurrency_once_a_burst_and_never_below_one(self) -> None:
        with simulated_time() as simulation:
            throttle = Throttle(8)
            places = []
            for _ in range(5):
                burst = simulation.now
                simulation.now += 1
                for _ in range(3):
                    throttle.slow_down(0, started=burst)
                places.append(simulation.places(throttle))
                simulation.now += 1
            assert places == [4, 2, 1, 1, 1]

    def test_each_round_of_good_answers_gives_one_place_back(self) -> None:
        with simulated_time() as simulation:
            throttle = Throttle(8)
            throttle.slow_down(0, started=simulation.now)
            for places in (4, 5, 6, 7, 8, 8):
                assert simulation.places(throttle) == places
                for _ in range(places - 1):
                    throttle.succeeded()
                assert simulation.places(throttle) == places
                throttle.succeeded()

    def test_a_refusal_starts_the_round_again(self) -> None:
        with simulated_time() as simulation:
            throttle = Throttle(8)
            throttle.slow_down(0, started=simulation.now)
            for _ in range(3):
                throttle.succeeded()
            throttle.slow_down(0, started=0)  # of the same burst
            throttle.succeeded()
            assert simulation.places(throttle) == 4

    def test_one_refusal_pauses_all_threads_of_a_client(self, emulator: StartEmulator) -> None:
        server = emulator(latency=0.05)
        server.add_fault(Fault("rate_limit", retry_after=1, after=8))
        client = client_of(server)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: fetch(client), range(40)))
        requests = server.requests
        refused = next(request for request in requests if request.status == 429)
        # Those that were on their way when the refusal came are let off; it took the latency to arrive.
        assert not [r for r in requests if 0.5 < r.time - refused.time < 1]
        assert client.retries == 1

    def test_good_answers_give_a_client_its_concurrency_back(self, emulator: StartEmulator) -> None:
        server = emulator()
        server.add_fault(Fault("rate_limit"))
        client = client_of(server)
        for _ in range(4 + 5 + 6 + 7):
            fetch(client)
        server.latency = 0.5
        with ThreadPoolExecutor(8) as pool:
            futures = [pool.submit(fetch, client) for _ in range(8)]
            wait_until(lambda: client.throttle.in_flight == 8 or all(future.done() for future in futures))
        assert server.max_in_flight == 8

    def test_a_server_with_a_limit_is_learnt(self, emulator: StartEmulator) -> None:
        server = emulator(max_rate=40)
        client = client_of(server, max_attempts=50)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: fetch(client), range(30)))
        assert sum(request.code == 0 for request in server.requests) == 30
        assert len(server.requests) < 30 + 2 * 8  # each burst is refused once, not each request again and again


class TestClose:
    @pytest.mark.parametrize("reason", ["concurrency", "rate", "pause"])
    def test_wakes_all_who_wait(self, reason: str) -> None:
        throttle = Throttle(1 if reason == "concurrency" else 8, 0.01 if reason == "rate" else None)
        holder = throttle.request()
        holder.__enter__()
        if reason == "pause":
            throttle.slow_down(1000, started=0)
        entered = threading.Semaphore(0)

        def enter() -> None:
            entered.release()
            throttle.request().__enter__()

        with ThreadPoolExecutor(5) as pool:
            futures = [pool.submit(enter) for _ in range(5)]
            for _ in futures:
                assert entered.acquire(timeout=10)
            throttle.close()
            assert all(isinstance(future.exception(10), CancelledError) for future in futures)
        holder.__exit__(None, None, None)
        assert throttle.in_flight == 0

    def test_wakes_those_who_sleep(self) -> None:
        throttle = Throttle(1)
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(throttle.sleep, 1000)
            throttle.close()
            assert isinstance(future.exception(10), CancelledError)

    def test_lets_nobody_in_afterwards(self) -> None:
        throttle = Throttle(1)
        throttle.close()
        with pytest.raises(CancelledError), throttle.request():
            pass
        with pytest.raises(CancelledError):
            throttle.sleep(0)

    def test_sleep_lasts_as_long_as_asked(self) -> None:
        throttle = Throttle(1)
        started = time.monotonic()
        throttle.sleep(0.05)
        assert time.monotonic() - started >= 0.05
