"""Worker threads: order, errors, and the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, wait

import pytest

from airflow_provider_nxcloud.api.workers import Workers
from tests.api.conftest import worker_threads
from tests.conftest import wait_until

NAME = "nxcloud-page"
SECONDS = 10.0


@pytest.fixture(autouse=True)
def _threads_end() -> Iterator[None]:
    yield
    wait_until(lambda: not worker_threads())


def test_results_and_errors_are_handed_over() -> None:
    workers = Workers(2, NAME)
    good, bad = workers.submit(lambda: 42), workers.submit(lambda: 1 // 0)
    assert good.result(SECONDS) == 42
    with pytest.raises(ZeroDivisionError):
        bad.result(SECONDS)
    workers.stop()


def test_a_call_that_ends_its_thread_is_handed_over_as_well() -> None:
    def leave() -> None:
        raise SystemExit(3)

    workers = Workers(1, NAME)
    with pytest.raises(SystemExit):
        workers.submit(leave).result(SECONDS)
    assert workers.submit(lambda: "still there").result(SECONDS) == "still there"
    workers.stop()


def test_calls_begin_in_order() -> None:
    workers = Workers(1, NAME)
    begun: list[int] = []
    futures = [workers.submit(lambda number=number: begun.append(number)) for number in range(50)]  # type: ignore[misc]
    for future in futures:
        future.result(SECONDS)
    assert begun == list(range(50))
    workers.stop()


def test_no_more_threads_than_asked_for_and_none_before_it_is_needed() -> None:
    workers = Workers(3, NAME)
    assert worker_threads() == []
    gate = threading.Event()
    futures = [workers.submit(lambda: gate.wait(SECONDS))]
    assert len(worker_threads()) == 1
    futures += [workers.submit(lambda: gate.wait(SECONDS)) for _ in range(9)]
    assert len(worker_threads()) == 3
    gate.set()
    assert all(future.result(SECONDS) for future in futures)
    workers.stop()


def test_threads_do_not_hold_up_the_interpreters_end() -> None:
    workers = Workers(1, NAME)
    assert workers.submit(lambda: threading.current_thread().daemon).result(SECONDS)
    workers.stop()


def test_stop_cancels_what_has_not_begun_and_lets_the_rest_end() -> None:
    workers = Workers(1, NAME)
    begun, gate = threading.Event(), threading.Event()

    def call() -> str:
        begun.set()
        gate.wait(SECONDS)
        return "ended"

    running, waiting = workers.submit(call), workers.submit(call)
    assert begun.wait(SECONDS)
    workers.stop()
    assert waiting.cancelled()
    assert wait([waiting], SECONDS).done
    gate.set()
    assert running.result(SECONDS) == "ended"


@pytest.mark.parametrize("stops", [1, 2])
def test_calls_after_the_stop_are_cancelled(stops: int) -> None:
    workers = Workers(2, NAME)
    workers.submit(lambda: None).result(SECONDS)
    for _ in range(stops):
        workers.stop()
    futures: list[Future[None]] = [workers.submit(lambda: None) for _ in range(5)]
    assert not wait(futures, SECONDS).not_done
    assert all(future.cancelled() for future in futures)


def test_a_signal_that_comes_while_a_thread_is_started_may_stop_all(monkeypatch: pytest.MonkeyPatch) -> None:
    workers = Workers(2, NAME)
    start = threading.Thread.start

    def start_after_a_signal(thread: threading.Thread) -> None:
        if thread.name.startswith(NAME):
            workers.stop()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_after_a_signal)
    ended = threading.Event()

    def submit() -> None:
        assert workers.submit(lambda: 42).cancelled()
        ended.set()

    threading.Thread(target=submit, daemon=True).start()  # not this one, which would hang with it
    assert ended.wait(SECONDS)
