"""Reading a window by page numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from airflow_provider_nxcloud.api.completeness.ends import End
from airflow_provider_nxcloud.api.completeness.fetching import Fetcher
from airflow_provider_nxcloud.api.completeness.reading import Reading
from airflow_provider_nxcloud.api.pages import Page
from airflow_provider_nxcloud.api.windows import SECOND_MS, TimeRange, Window

#: Pages of one window: ten million call center records. A server that never ends its pages ends here.
MAX_PAGES = 100_000


class PageReading(Reading):
    """
    A reading of a window by page numbers.

    :param window: what is read
    :param page_size: records that are asked for
    """

    def __init__(self, window: Window, page_size: int, *, keep_misplaced: bool) -> None:
        super().__init__(window, keep_misplaced=keep_misplaced)
        self.page_size = page_size
        #: Pages with records.
        self.pages = 0
        #: Number of all records, where the pages tell.
        self.total: int | None = None
        #: Why this reading cannot be right.
        self.flaw: str | None = None
        #: Pages beyond the last that came with the others, by number.
        self.beyond: Mapping[int, Page] = MappingProxyType({})
        self.order = StartOrder()
        self._previous: list[int] = []

    @property
    def size_served(self) -> int | None:
        """The size to ask for where the first page, though not the last, was shorter than asked for."""
        is_cut = any(page.records for page in self.beyond.values()) or (self.total or 0) > self.rows
        return self.largest_page if is_cut and 0 < self.largest_page < self.page_size else None

    def take(self, page: Page) -> None:
        """Keep a page's records."""
        found = self.keep(page)
        if isinstance(self.window, TimeRange):
            self.order.add(page.facts.starts)
        self.pages += bool(found)
        if found and found == self._previous:
            self.flaw = f"page {self.pages} repeats page {self.pages - 1}"
        elif self.pages > MAX_PAGES:
            self.flaw = f"there are more than {MAX_PAGES} pages"
        self._previous = found


def read_by_pages(fetcher: Fetcher, window: Window, page_size: int, *, keep_misplaced: bool) -> PageReading:
    """
    Read a window page by page, up to the last page or the first flaw.

    :raises NXCloudError: as the requests do
    """
    reading = PageReading(window, page_size, keep_misplaced=keep_misplaced)
    end = fetcher.endpoint.end
    sequence = end.pages(fetcher, window, page_size)
    pages = iter(sequence)
    try:
        for number, page in enumerate(pages, 1):
            flaw = _flaw_of(page, number, reading, end)
            reading.take(page)
            reading.flaw = flaw or reading.flaw
            fetcher.note(page, reading.rows)
            if reading.flaw:
                break
    except BaseException:
        reading.close()
        raise
    finally:
        pages.close()
    reading.beyond = sequence.beyond
    return reading


def _flaw_of(page: Page, number: int, reading: PageReading, end: End) -> str | None:
    total = end.total(page)
    if number == 1:
        reading.total = total
    elif total != reading.total:
        return f"the total changed from {reading.total} to {total} at page {number}"
    return end.doubt(number, page, reading.page_size, reading.rows)


class StartOrder:
    """Whether records came in the order of their start times, and from where to where."""

    def __init__(self) -> None:
        self.lowest: Any = None
        self.highest: Any = None
        self._ascends = self._descends = True
        self._last: Any = None

    @property
    def is_ordered(self) -> bool:
        """Whether all start times are told, and rise or fall throughout."""
        return self._ascends or self._descends

    @property
    def is_one_second(self) -> bool:
        """Whether all records start in one second."""
        return bool(self.is_ordered and self.lowest and self.lowest // SECOND_MS == self.highest // SECOND_MS)

    def add(self, starts: Sequence[Any]) -> None:
        """Look at a page's start times."""
        if not starts or not self.is_ordered:
            return
        if None in starts:
            self._ascends = self._descends = False
            return
        row = [*starts] if self._last is None else [self._last, *starts]
        ascending = sorted(row)
        self._ascends = self._ascends and row == ascending
        self._descends = self._descends and row == ascending[::-1]
        self._last = row[-1]
        low, high = ascending[0], ascending[-1]
        self.lowest = low if self.lowest is None else min(low, self.lowest)
        self.highest = high if self.highest is None else max(high, self.highest)
