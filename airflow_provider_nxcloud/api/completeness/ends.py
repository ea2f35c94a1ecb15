"""How the end of a query's pages shows, and by which questions it is proven."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import TYPE_CHECKING, ClassVar, Protocol

from airflow_provider_nxcloud.api.pages import Page
from airflow_provider_nxcloud.api.paging import PageSequence

if TYPE_CHECKING:
    from airflow_provider_nxcloud.api.completeness.fetching import Fetcher
    from airflow_provider_nxcloud.api.windows import Window


class Pages(Protocol):
    """The pages of a query, in order."""

    #: Pages beyond the last that came with the others, by number.
    beyond: dict[int, Page]

    def __iter__(self) -> Generator[Page]:
        """Yield the pages up to the last."""
        ...


class End(ABC):
    """How a query is paged, and how its end shows."""

    #: Whether any page can be asked for by its number: then the end is proven by other page sizes, too.
    is_numbered: ClassVar[bool]

    @abstractmethod
    def pages(self, fetcher: Fetcher, window: Window, page_size: int) -> Pages:
        """Return all pages of a window."""

    def doubt(self, number: int, page: Page, page_size: int, rows: int) -> str | None:
        """
        Say what is wrong with a page that is read.

        :param number: the page's, counted from 1
        :param rows: records of the pages before it
        """
        return None

    def total(self, page: Page) -> int | None:
        """Return the number of all records where a page tells it."""
        return None


class NumberedPages(End):
    """Pages have numbers, so that many can be asked for side by side."""

    is_numbered = True
    #: Pages beyond the last that are asked for with the others, since what they hold proves the end.
    pages_beyond: ClassVar[int] = 0

    @abstractmethod
    def last_page(self, number: int, page: Page, page_size: int) -> int | None:
        """Return the number of the last page where this one tells it; the first page is there in any case."""

    def pages(self, fetcher: Fetcher, window: Window, page_size: int) -> PageSequence:
        """Return all pages of a window, fetched side by side."""
        return PageSequence(
            lambda number: fetcher.page(window, number, page_size),
            lambda number, page: self.last_page(number, page, page_size),
            pages_beyond=self.pages_beyond,
            workers=fetcher.source.workers,
            concurrency=fetcher.source.concurrency,
        )


class ShortPage(NumberedPages):
    """No total: the end shows as a page with fewer records than were asked for, or without any."""

    def last_page(self, number: int, page: Page, page_size: int) -> int | None:
        """Return the short page's number; of an empty one, the number of the page before it."""
        if len(page.records) >= page_size:
            return None
        return number if page.records else max(number - 1, 1)


class Total(NumberedPages):
    """Each page tells the total. The page after the last is asked for with the others."""

    pages_beyond = 1

    def last_page(self, number: int, page: Page, page_size: int) -> int:
        """Return the number of pages that hold the total."""
        return max(1, -(-(page.total_records or 0) // page_size))

    def doubt(self, number: int, page: Page, page_size: int, rows: int) -> str | None:
        """Compare the page's records with those that the total leaves for it."""
        due = min(page_size, (page.total_records or 0) - rows)
        if len(page.records) != due:
            return f"page {number} holds {len(page.records)} records where the total leaves {due} for it"
        return None

    def total(self, page: Page) -> int | None:
        """Return what the page tells."""
        return page.total_records
