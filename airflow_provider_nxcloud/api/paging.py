"""The pages of one query, fetched side by side and handed on in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future

from airflow_provider_nxcloud.api.endpoints import Page
from airflow_provider_nxcloud.api.workers import Workers

#: Pages under way or waiting to be read, for each page in flight: a slow page need not stop the others.
PAGES_BUFFERED_PER_WORKER = 2


class PageSequence:
    """
    Iterates over a query's pages, up to the last one that is needed to prove their end.

    Where the first page tells the number of pages, they are all that is fetched. Elsewhere the end shows as a
    page with fewer records than asked for, and the page after it is the proof: it must be empty. Until then
    pages are fetched ahead: 1, 2, 4, ... so that a small result costs few requests.

    :param fetch: returns the page of a number, counted from 1; called in the workers' threads
    :param page_size: records of a full page
    :param workers: the threads
    :param concurrency: number of threads
    """

    def __init__(self, fetch: Callable[[int], Page], *, page_size: int, workers: Workers, concurrency: int) -> None:
        #: Returns the page of a number.
        self.fetch = fetch
        self._page_size = page_size
        self._workers = workers
        self._buffer = concurrency * PAGES_BUFFERED_PER_WORKER
        self._lock = threading.Lock()
        self._last: int | None = None
        self._last_with_records = 0

    @property
    def last(self) -> int | None:
        """Number of the last page that is needed, as far as it is known."""
        return self._last

    @property
    def last_with_records(self) -> int:
        """Highest number of a page that held records, of those that were fetched, needed or not."""
        return self._last_with_records

    def __iter__(self) -> Iterator[Page]:
        pending: deque[Future[Page | None]] = deque()
        read = submitted = 0
        try:
            while self._last is None or read < self._last:
                while len(pending) < self._ahead(read) and (self._last is None or submitted < self._last):
                    submitted += 1
                    pending.append(self._submit(submitted))
                page = pending.popleft().result()
                if page is not None:
                    read += 1
                    yield page
        finally:
            for future in pending:
                future.cancel()

    def _ahead(self, read: int) -> int:
        """How many pages may be under way or waiting, after ``read`` pages."""
        is_ramp = self._last is None and read < self._buffer
        return min(2**read, self._buffer) if is_ramp else self._buffer

    def _submit(self, number: int) -> Future[Page | None]:
        return self._workers.submit(lambda: self._fetch_if_needed(number))

    def _fetch_if_needed(self, number: int) -> Page | None:
        if self._last is not None and number > self._last:
            return None
        page = self.fetch(number)
        with self._lock:
            if page.records:
                self._last_with_records = max(self._last_with_records, number)
            last = self._last_needed(number, page)
            if last is not None and (self._last is None or last < self._last):
                self._last = last
        return page

    def _last_needed(self, number: int, page: Page) -> int | None:
        if page.total_pages is not None:
            return max(1, page.total_pages)
        return number + 1 if len(page.records) < self._page_size else None
