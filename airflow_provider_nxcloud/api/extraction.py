"""All records of an interval: its windows read side by side, handed on in order, proven complete."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError, Future, wait
from contextlib import AbstractContextManager
from datetime import timedelta
from itertools import chain, islice
from types import TracebackType
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from airflow_provider_nxcloud.api.completeness.collection import Records
from airflow_provider_nxcloud.api.completeness.edges import IntervalEdges, WrittenRecords
from airflow_provider_nxcloud.api.completeness.fetching import Source
from airflow_provider_nxcloud.api.completeness.proving import CONSISTENCIES, Consistency, Prover
from airflow_provider_nxcloud.api.workers import Workers

if TYPE_CHECKING:
    from airflow_provider_nxcloud.api.client import NXCloudClient
    from airflow_provider_nxcloud.api.endpoints import Endpoint
    from airflow_provider_nxcloud.api.windows import Window

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 5.0
#: An answer tells the server's clock in whole seconds.
CLOCK_GRAIN_SECONDS = 2.0
#: A task that is ended does not wait for the answers under way.
POLL_SECONDS = 0.5


class Extraction(AbstractContextManager["Extraction"]):
    """
    Reads the call detail records of ``[start, end)``; a context manager that ends its requests when it is left.

    :param client: sends the requests; closed at the end
    :param endpoint: the kind of records
    :param start: Unix time in seconds, inclusive
    :param end: Unix time in seconds, exclusive
    :param filters: filters by our names, see ``Endpoint.filters``
    :param timezone: zone of the endpoint's dates and wall-clock times
    :param page_size: records of a page; None for the endpoint's limit
    :param window: span of one scan; None for the endpoint's own choice
    :param consistency: ``double`` reads each window by two kinds of edges, which have to agree
    :param keep_misplaced: keep records, too, whose start no selection explains
    :param ready_at: Unix time from which, by NXCloud's clock, the records may be read
    :raises ValueError: for a value out of range
    """

    def __init__(
        self,
        client: NXCloudClient,
        endpoint: Endpoint,
        start: int,
        end: int,
        *,
        filters: Mapping[str, str | None] | None = None,
        timezone: ZoneInfo,
        page_size: int | None = None,
        window: timedelta | None = None,
        consistency: Consistency = "single",
        keep_misplaced: bool = False,
        ready_at: float = 0.0,
    ) -> None:
        if not start < end:
            raise ValueError(f"the interval's end, {end}, must be after its start, {start}")
        if page_size is not None and not 1 <= page_size <= endpoint.max_page_size:
            raise ValueError(f"page_size must be between 1 and {endpoint.max_page_size}, not {page_size}")
        if window is not None and window < timedelta(seconds=1):
            raise ValueError(f"window must be at least one second, not {window}")
        if consistency not in CONSISTENCIES:
            raise ValueError(f"consistency must be one of {', '.join(CONSISTENCIES)}, not {consistency!r}")
        #: Pages read so far, those that were read again included.
        self.pages = 0
        #: Records of the windows that are proven and handed on.
        self.records = 0
        #: Records that came twice, letter for letter, and were handed on once.
        self.duplicates = 0
        #: Records that start outside of the interval, and that the server chose for no neighbouring one.
        self.outside = 0
        self._client = client
        self._ready_at = ready_at
        self._endpoint = endpoint
        self._windows = endpoint.windows(
            start, end, filters=endpoint.filter_parameters(filters or {}), timezone=timezone, span=window
        )
        self._concurrency = client.throttle.max_concurrency
        self._fetchers = Workers(self._concurrency, "nxcloud-page")
        self._provers = Workers(self._concurrency, "nxcloud-window")
        source = Source(client, endpoint, self._fetchers, self._concurrency, self._count_page)
        size = page_size or endpoint.max_page_size
        self._prover = Prover(source, size, consistency=consistency, keep_misplaced=keep_misplaced, ready_at=ready_at)
        self._edges = IntervalEdges(endpoint, (start, end), Prover(source, size, keep_misplaced=True))
        self._written = WrittenRecords(endpoint)
        self._unread: deque[tuple[Window, Future[Records]]] = deque()
        self._closed = False
        self._is_read = False
        self._lock = threading.Lock()
        self._rows_read = 0
        self._started = self._reported = time.monotonic()

    @property
    def requests(self) -> int:
        """Requests sent so far, retries included."""
        return self._client.requests

    @property
    def retries(self) -> int:
        """Requests that were sent again after a transient failure."""
        return self._client.retries

    @property
    def seconds(self) -> float:
        """Seconds since the extraction was made."""
        return time.monotonic() - self._started

    def blocks(self) -> Iterator[bytes]:
        """
        Yield all records once, each one line of JSON text, in blocks of whole lines of bounded size.

        :raises NXCloudError: one subclass a cause; what was yielded before is then incomplete
        :raises CancelledError: when :meth:`close` was called, as from another thread
        :raises RuntimeError: when they were asked for before
        """
        if self._is_read:
            raise RuntimeError("An extraction is read once: make another one")
        self._is_read = True
        self._let_clocks_agree()
        first = list(islice(self._windows, 2))
        self._is_one_window = len(first) == 1
        for window in chain(first, self._windows):
            self._unread.append((window, self._submit(window)))
            if len(self._unread) == self._concurrency:
                yield from self._records_of(*self._unread.popleft())
        while self._unread:
            yield from self._records_of(*self._unread.popleft())

    def close(self) -> None:
        """Stop all requests, none starts after this, and give up what has not been read."""
        self._closed = True
        self._provers.stop()
        self._fetchers.stop()
        self._client.close()
        for _, future in self._unread.copy():
            future.add_done_callback(_give_up)

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the extraction."""
        self.close()

    def _let_clocks_agree(self) -> None:
        """Let a moment pass where the interval has only just ended: NXCloud's clock may be a little behind."""
        if 0 < (seconds := self._ready_at + CLOCK_GRAIN_SECONDS - time.time()) <= CLOCK_GRAIN_SECONDS:
            self._client.throttle.sleep(seconds)

    def _submit(self, window: Window) -> Future[Records]:
        return self._provers.submit(lambda: self._edges.without_neighbours(window, self._prover.prove(window)))

    def _count_page(self, rows: int) -> None:
        with self._lock:
            self.pages += 1
            self._rows_read += rows

    def _records_of(self, window: Window, future: Future[Records]) -> Iterator[bytes]:
        while not self._closed and not wait([future], timeout=POLL_SECONDS).done:
            self._report_progress()
        if self._closed and not future.done():
            future.add_done_callback(_give_up)
            raise CancelledError
        records = future.result()
        try:
            if not self._is_one_window:
                records = self._written.add(window, records)
            self.records += records.spool.count
            self.duplicates += records.duplicates
            self.outside += records.outside
            for block in records.spool.blocks():
                if self._closed:
                    raise CancelledError
                yield block
                self._report_progress()
            if self._closed:
                raise CancelledError
        finally:
            records.close()

    def _report_progress(self) -> None:
        now = time.monotonic()
        if now - self._reported < PROGRESS_SECONDS:
            return
        self._reported = now
        log.info(
            "%s: %d pages, %d records read (%.0f records/s), %d proven; %d requests in flight, %d waiting for "
            "the rate limit",
            self._endpoint.kind,
            self.pages,
            self._rows_read,
            self._rows_read / self.seconds,
            self.records,
            self._client.throttle.in_flight,
            self._client.throttle.waiting_for_rate,
        )


def _give_up(future: Future[Records]) -> None:
    if not future.cancelled() and future.exception() is None:
        future.result().close()
