"""The requests for one window: side by side, counted, and bounded."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_nxcloud.api.errors import NXCloudIncompleteResultError, NXCloudUnexpectedResponseError
from airflow_provider_nxcloud.api.pages import Page

if TYPE_CHECKING:
    from airflow_provider_nxcloud.api.client import NXCloudClient
    from airflow_provider_nxcloud.api.endpoints import Endpoint
    from airflow_provider_nxcloud.api.windows import Window
    from airflow_provider_nxcloud.api.workers import Workers

#: Requests for one window, for each page that its records fill: six readings cost some 20 in the worst case that
#: still ends well.
REQUESTS_PER_PAGE = 40
#: Requests that a window of any size may cost besides.
SPARE_REQUESTS = 400
#: Seconds from the first doubt about a window until it is given up.
MAX_DOUBT_SECONDS = 3600.0
#: Seconds before a question is asked again: a back end that restarts has no records for a moment.
PAUSE_SECONDS = 1.0


class Question(NamedTuple):
    """One page that is asked for."""

    window: Window
    number: int
    size: int


class Source:
    """
    Where all pages come from.

    :param client: sends the requests
    :param endpoint: the kind of records
    :param workers: the threads that wait for the answers
    :param concurrency: their number
    :param progress: is told of each page that was read, with its number of records
    """

    def __init__(
        self,
        client: NXCloudClient,
        endpoint: Endpoint,
        workers: Workers,
        concurrency: int,
        progress: Callable[[int], None],
    ) -> None:
        self.client = client
        self.endpoint = endpoint
        self.workers = workers
        self.concurrency = concurrency
        self.progress = progress


class Fetcher:
    """
    Asks for pages of one window, within its bounds.

    :param source: where they come from
    :param page_size: records of a page
    """

    def __init__(self, source: Source, page_size: int) -> None:
        self.source = source
        self.endpoint = source.endpoint
        self.page_size = page_size
        #: Records of the largest reading so far.
        self.rows = 0
        #: Records of the largest page so far: so many the server serves at once.
        self.largest_page = 0
        self._requests = 0
        self._deadline = float("inf")

    def page(self, window: Window, number: int, size: int) -> Page:
        """
        Return one page.

        :param window: what is asked for
        :param number: the page's, counted from 1
        :param size: records that are asked for
        :raises NXCloudIncompleteResultError: where the window has cost too much
        :raises NXCloudUnexpectedResponseError: where the page is larger than asked for
        """
        self._requests += 1  # a few too few, where threads count at once
        allowed = SPARE_REQUESTS + REQUESTS_PER_PAGE * (self.rows // self.page_size + 1)
        if self._requests > allowed or time.monotonic() > self._deadline:
            raise NXCloudIncompleteResultError(
                f"{self._requests} requests for {window} brought no proof", endpoint=self.endpoint.kind
            )
        parameters = {**window.parameters, **self.endpoint.page_parameters(number, size)}
        page = self.source.client.fetch_page(self.endpoint, parameters)
        if (rows := len(page.records)) > size:
            raise NXCloudUnexpectedResponseError(
                f"Page {number} holds {rows} records, more than the {size} asked for", endpoint=self.endpoint.kind
            )
        self.largest_page = max(self.largest_page, rows)
        return page

    def submit(self, question: Question) -> Future[Page]:
        """Ask for one page in another thread."""
        return self.source.workers.submit(lambda: self.page(*question))

    def ask(self, questions: Sequence[Question]) -> list[Page]:
        """Ask for pages side by side."""
        futures = [self.submit(question) for question in questions]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()

    def note(self, page: Page, rows_of_reading: int) -> None:
        """Count a page that was read."""
        self.rows = max(self.rows, rows_of_reading)
        self.source.progress(len(page.records))

    def pause(self) -> None:
        """Let a moment pass."""
        self.source.client.throttle.sleep(PAUSE_SECONDS)

    def bound_doubt(self) -> None:
        """Start the time within which a doubt has to be settled."""
        self._deadline = min(self._deadline, time.monotonic() + MAX_DOUBT_SECONDS)
