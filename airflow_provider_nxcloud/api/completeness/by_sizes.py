"""Reading a window that time cannot divide: by several page sizes, whose edges differ, and by its parts."""

from __future__ import annotations

from typing import NamedTuple

from airflow_provider_nxcloud.api.completeness.by_pages import PageReading, read_by_pages
from airflow_provider_nxcloud.api.completeness.closing import closing_doubt
from airflow_provider_nxcloud.api.completeness.collection import Collection
from airflow_provider_nxcloud.api.completeness.fetching import Fetcher
from airflow_provider_nxcloud.api.windows import Window

#: Further page sizes, as shares of the first: few edges of one lie near those of another.
SHARES = (0.7, 0.55, 0.85, 0.4, 0.93, 0.62, 0.48)
#: Readings by size after which the parts are read apart: they cost as much, and halve the ties.
SIZES_BEFORE_PARTS = 3


class Outcome(NamedTuple):
    """
    What came of an attempt to read a window.

    :param collection: the records, None where there is nothing to go on from
    :param rows: how many there are, by the pages
    :param doubt: why they may not be all; None: they are
    """

    collection: Collection | None
    rows: int
    doubt: str | None


def page_sizes(page_size: int, largest: int) -> list[int]:
    """Return a page size and others, whose edges lie elsewhere."""
    shares = [round(page_size * share) for share in SHARES]
    above = range(page_size + 1, min(page_size + len(SHARES), largest) + 1)
    others = shares if page_size > 2 * len(SHARES) else [*above, *range(page_size - 1, 0, -1)]
    return list(dict.fromkeys([page_size, *(size for size in others if 1 <= size <= largest)]))[: 1 + len(SHARES)]


def read_by_sizes(fetcher: Fetcher, window: Window, page_size: int, *, keep_misplaced: bool) -> Outcome:
    """
    Read a window by one page size after the other, until there are as many different records as rows.

    :raises NXCloudError: as the requests do, and where records contradict the question
    """
    reader = _SizesReader(fetcher, window, keep_misplaced=keep_misplaced)
    try:
        return reader.read(page_size)
    except BaseException:
        reader.give_up()
        raise


class _SizesReader:
    def __init__(self, fetcher: Fetcher, window: Window, *, keep_misplaced: bool) -> None:
        self._fetcher = fetcher
        self._window = window
        self._keep_misplaced = keep_misplaced
        self._collection: Collection | None = None
        #: How many records there are, by the pages or by the total that they tell.
        self._rows = 0
        self._doubt: str | None = None
        #: Whether the server's total, or pages without flaw, have told the number of records.
        self._is_counted = False

    def read(self, page_size: int) -> Outcome:
        largest = self._fetcher.endpoint.max_page_size
        sizes = page_sizes(page_size, largest)
        for number in range(1, len(sizes) + 1):
            size_served = self._add(sizes[number - 1])
            if size_served is not None and sizes[0] == page_size:
                sizes = [*sizes[:number], *page_sizes(size_served, largest)[: len(sizes) - number]]
            if self._doubt is not None and number == SIZES_BEFORE_PARTS:
                self._add_parts(page_size)
            if self._doubt is None or (number >= SIZES_BEFORE_PARTS and self._collection is None):
                break
        return Outcome(self._collection, self._rows, self._doubt)

    def give_up(self) -> None:
        if self._collection is not None:
            self._collection.close()
            self._collection = None

    def _add(self, size: int) -> int | None:
        """Read by one size; return a smaller one where the server serves no larger pages."""
        reading = read_by_pages(self._fetcher, self._window, size, keep_misplaced=self._keep_misplaced)
        size_served = reading.size_served
        if reading.flaw or size_served:
            self._doubt = reading.flaw or f"pages of {size} hold {size_served} records at most"
            self._rows = max(self._rows, reading.total or 0)
            self._is_counted |= reading.total is not None
            reading.close()
            return size_served
        if self._collection is None or self._rows != reading.rows:
            self.give_up()
            self._rows = reading.rows
            self._is_counted = True
            self._collection = Collection(reading, self._fetcher.endpoint)
        else:
            self._collection.add(reading)
        reading.require_placed()
        self._doubt = self._doubt_of(reading, self._collection)
        return None

    def _doubt_of(self, reading: PageReading, collection: Collection) -> str | None:
        if len(collection) != reading.rows:
            return f"{reading.rows} rows hold {len(collection)} different records"
        return closing_doubt(self._fetcher, reading, collection.ledger)

    def _add_parts(self, page_size: int) -> None:
        """Read the parts of the window apart: where they are proven, and add up to the whole, so is the whole."""
        parts = self._fetcher.endpoint.parts(self._window)
        proven: list[Outcome] = []
        try:
            for part in parts:
                proven.append(read_by_sizes(self._fetcher, part, page_size, keep_misplaced=self._keep_misplaced))
                if proven[-1].doubt is not None:
                    break
            else:
                self._take_parts(proven)
        finally:
            for collection, _, _ in proven:
                if collection is not None and collection is not self._collection:
                    collection.close()

    def _take_parts(self, parts: list[Outcome]) -> None:
        collections = [part.collection for part in parts if part.collection is not None]
        rows = sum(part.rows for part in parts)
        if not collections or rows < self._rows or not self._is_counted:
            return
        self.give_up()
        self._collection, *others = collections
        for other in others:
            self._collection.absorb(other)
        self._rows = rows
        self._doubt = None if len(self._collection) == rows else f"the parts of {self._window} overlap"
