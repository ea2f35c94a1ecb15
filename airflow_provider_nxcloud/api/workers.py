"""A few daemon threads: a request that is under way cannot hold up the end of a cancelled task."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

Result = TypeVar("Result")


class Workers:
    """
    Runs calls side by side, in the order in which they come, like ``ThreadPoolExecutor``.

    That one's threads are joined when the interpreter ends, which a server that does not answer would delay
    by its whole timeout.

    :param count: threads, at most; each starts when it is first needed
    :param name: prefix of the threads' names
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._stopped = False
        # Reentrant: the signal that ends a task may come while a thread is being started, and its handler stops all.
        self._lock = threading.RLock()

    def submit(self, call: Callable[[], Result]) -> Future[Result]:
        """Queue a call without arguments and return the future of its result; cancelled after :meth:`stop`."""
        future: Future[Result] = Future()
        with self._lock:
            if self._stopped:
                _cancel(future)
                return future
            self._jobs.put((future, call))
            if len(self._threads) < self._count:
                thread = threading.Thread(target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()
        return future

    def stop(self) -> None:
        """Cancel what has not begun and what is still to come, and let each thread end after the call it is in."""
        with self._lock:
            self._stopped = True
        while True:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                break
            if job is not None:
                _cancel(job[0])
        for _ in self._threads:
            self._jobs.put(None)

    def _work(self) -> None:
        while not self._stopped and (job := self._jobs.get()) is not None:
            future, call = job
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:  # handed to whoever asks for the result
                    future.set_exception(error)
            del job, future, call


def _cancel(future: Future[Any]) -> None:
    """Cancel a future that no thread has, and wake those who wait for it."""
    future.cancel()
    future.set_running_or_notify_cancel()
