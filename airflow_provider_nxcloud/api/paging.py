"""The pages of one query, fetched side by side and handed on in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future

from airflow_provider_nxcloud.api.pages import Page
from airflow_provider_nxcloud.api.workers import Workers

#: Pages under way or waiting to be read, for each page in flight: a slow page need not stop the others.
PAGES_BUFFERED_PER_WORKER = 2
#: Pages that are asked for before the first one tells how many there are.
FIRST_PAGES = 2


class PageSequence:
    """
    Iterates over a query's numbered pages, up to the last one.

    While the last one is not known, pages are fetched ahead: 2, 4, 8, ... so that a small result costs few requests.

    :param fetch: returns the page of a number, counted from 1; called in the workers' threads
    :param last_page: returns the number of the last page where a page tells it, given the page's number and the page
    :param pages_beyond: how many pages beyond the last are fetched in any case
    :param workers: the threads
    :param concurrency: number of threads
    """

    def __init__(
        self,
        fetch: Callable[[int], Page],
        last_page: Callable[[int, Page], int | None],
        *,
        pages_beyond: int = 0,
        workers: Workers,
        concurrency: int,
    ) -> None:
        #: Pages beyond the last that were fetched, by number.
        self.beyond: dict[int, Page] = {}
        self._fetch = fetch
        self._last_page = last_page
        self._pages_beyond = pages_beyond
        self._workers = workers
        self._buffer = concurrency * PAGES_BUFFERED_PER_WORKER
        self._lock = threading.Lock()
        self._last: int | None = None

    def __iter__(self) -> Generator[Page]:
        pending: deque[tuple[int, Future[Page | None]]] = deque()
        read = submitted = 0
        try:
            while self._is_needed(read + 1):
                while len(pending) < self._ahead(read) and self._is_needed(submitted + 1):
                    submitted += 1
                    pending.append((submitted, self._submit(submitted)))
                read, future = pending.popleft()
                page = future.result()
                if self._last is not None and read > self._last:
                    self._keep_beyond(read, page)
                elif page is not None:
                    yield page
        finally:
            for number, future in pending:
                if not future.cancel() and future.done() and future.exception() is None:
                    self._keep_beyond(number, future.result())

    def _is_needed(self, number: int) -> bool:
        return self._last is None or number <= self._last + self._pages_beyond

    def _keep_beyond(self, number: int, page: Page | None) -> None:
        if page is not None:
            self.beyond[number] = page

    def _ahead(self, read: int) -> int:
        """How many pages may be under way or waiting, after ``read`` pages."""
        is_ramp = self._last is None and read < self._buffer
        return min(FIRST_PAGES * 2**read, self._buffer) if is_ramp else self._buffer

    def _submit(self, number: int) -> Future[Page | None]:
        return self._workers.submit(lambda: self._fetch_if_needed(number))

    def _fetch_if_needed(self, number: int) -> Page | None:
        if not self._is_needed(number):
            return None
        page = self._fetch(number)
        with self._lock:
            last = self._last_page(number, page)
            if last is not None and (self._last is None or last < self._last):
                self._last = last
        return page
