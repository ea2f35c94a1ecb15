"""
Reading a window by slices of time that each fit on one page.

A slice whose only page is short has no page edges, no depth and no ceiling, and nothing that comes or goes elsewhere
can shift it. Slices are read side by side, and halved where they are full.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TYPE_CHECKING

from airflow_provider_nxcloud.api.completeness.by_sizes import read_by_sizes
from airflow_provider_nxcloud.api.completeness.collection import Collection
from airflow_provider_nxcloud.api.completeness.fetching import Fetcher, Question
from airflow_provider_nxcloud.api.completeness.reading import Reading
from airflow_provider_nxcloud.api.completeness.spread import Spread
from airflow_provider_nxcloud.api.pages import Page, identities
from airflow_provider_nxcloud.api.windows import TimeRange

if TYPE_CHECKING:
    from airflow_provider_nxcloud.api.completeness.keeping import Spool

Span = tuple[int, int]

#: No server serves fewer records at once.
SMALLEST_FULL_PAGE = 3
#: Slices under way or waiting, for each page in flight.
SLICES_PER_WORKER = 2


class SlicePlan:
    """
    How a window is cut into slices.

    :param fill: how full a slice is to be, as a share of a page, where the records' number is known
    :param ratio: where a full slice is cut
    """

    def __init__(self, fill: float, ratio: float) -> None:
        self._fill = fill
        self._ratio = ratio

    def spans(self, fetcher: Fetcher, window: TimeRange, known: Spool | None) -> list[Span]:
        """Return spans that tile a window, cut by where its known records are; the window as a whole was asked for."""
        whole = (window.start, window.end)
        spans = (
            [whole] if known is None else Spread(fetcher.endpoint, window, known).spans(self._fill * fetcher.page_size)
        )
        return list(self.halves(whole, [], is_cut=True)) if spans == [whole] and whole[1] - whole[0] > 1 else spans

    def halves(self, span: Span, seconds: Sequence[int], *, is_cut: bool) -> tuple[Span, Span]:
        """
        Cut a span of two seconds at least.

        :param seconds: those in which its records start, as far as they are known
        :param is_cut: whether there are more
        """
        start, end = span
        median = None if is_cut else sorted(seconds)[len(seconds) // 2]
        if median is None or not start < median < end:  # the server may select by another time
            median = min(max(start + int((end - start) * self._ratio), start + 1), end - 1)
        return (start, median), (median, end)


#: Two ways to cut that share few edges.
SLICE_PLANS = (SlicePlan(0.6, 0.5), SlicePlan(0.45, 0.4))


def doubtful_spans(fetcher: Fetcher, window: TimeRange, known: Spool, repeated: set[int], margin: int) -> list[Span]:
    """
    Return the seconds in which records came more than once, and so many around each, as spans.

    :param repeated: the records' identities
    """
    seconds: set[int] = set()
    for lines, facts in known.facts(fetcher.endpoint):
        for identity, start in zip(identities(facts, lines), facts.starts, strict=True):
            if identity in repeated:
                seconds.add(min(max(window.second(start), window.start), window.end - 1))
    around = ((second - margin, second + 1 + margin) for second in sorted(seconds))
    return list(_merged((max(start, window.start), min(end, window.end)) for start, end in around))


def read_by_slices(
    fetcher: Fetcher, window: TimeRange, spans: Iterable[Span], plan: SlicePlan, *, keep_misplaced: bool
) -> tuple[Collection, str | None]:
    """
    Read spans of a window by slices.

    :return: the records, and why they may not be all
    :raises NXCloudError: as the requests do
    """
    reading = Reading(window, keep_misplaced=keep_misplaced)
    try:
        dense = list(_read_short(fetcher, window, reading, spans, plan))
    except BaseException:
        reading.close()
        raise
    collection = Collection(reading, fetcher.endpoint, witnesses=1)
    try:
        doubt = _add_dense(fetcher, collection, window, dense, keep_misplaced)
        reading.require_placed()
    except BaseException:
        collection.close()
        raise
    return collection, doubt


def _read_short(
    fetcher: Fetcher, window: TimeRange, reading: Reading, spans: Iterable[Span], plan: SlicePlan
) -> Iterator[Span]:
    """Keep all slices that fit on a page; yield the seconds that do not."""
    waiting = deque(spans)
    running: dict[Future[Page], Span] = {}
    try:
        while waiting or running:
            while waiting and len(running) < SLICES_PER_WORKER * fetcher.source.concurrency:
                span = waiting.popleft()
                running[fetcher.submit(Question(window.narrowed(*span), 1, fetcher.page_size))] = span
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                span, page = running.pop(future), future.result()
                fetcher.note(page, reading.rows)
                if not _is_full(fetcher, page):
                    reading.keep(page)
                elif span[1] - span[0] > 1:
                    is_cut = len(page.records) >= fetcher.page_size
                    waiting.extendleft(plan.halves(span, list(map(window.second, page.facts.starts)), is_cut=is_cut))
                else:
                    yield span
    finally:
        for future in running:
            future.cancel()


def _is_full(fetcher: Fetcher, page: Page) -> bool:
    """Return whether there may be more than the page holds: the server may serve no larger ones than it did."""
    served = max(fetcher.largest_page, SMALLEST_FULL_PAGE)
    return len(page.records) >= min(fetcher.page_size, served)


def _add_dense(
    fetcher: Fetcher, collection: Collection, window: TimeRange, dense: list[Span], keep_misplaced: bool
) -> str | None:
    for span in dense:
        second = window.narrowed(*span)
        found = read_by_sizes(fetcher, second, fetcher.page_size, keep_misplaced=keep_misplaced)
        if found.collection is not None:
            collection.absorb(found.collection)
        if found.doubt is not None:
            return f"in the second {second}, {found.doubt}"
    return None


def _merged(spans: Iterable[Span]) -> Iterator[Span]:
    """Yield sorted spans, those that touch as one."""
    current: Span | None = None
    for start, end in spans:
        if current is not None and start <= current[1]:
            current = (current[0], max(end, current[1]))
            continue
        if current is not None:
            yield current
        current = (start, end)
    if current is not None:
        yield current
