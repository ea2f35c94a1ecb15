"""
The questions that close a reading: is the end where it seemed to be, and did a ceiling cut the answer off?

They are asked after all pages, and by other edges than the pages': an answer that shares no edge with them shares no
error either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from airflow_provider_nxcloud.api.completeness.by_pages import PageReading
from airflow_provider_nxcloud.api.completeness.fetching import Fetcher, Question
from airflow_provider_nxcloud.api.completeness.keeping import Ledger
from airflow_provider_nxcloud.api.completeness.spread import Spread
from airflow_provider_nxcloud.api.pages import Page
from airflow_provider_nxcloud.api.windows import SECOND_MS, TimeRange, Window

#: Pages that are asked for, at most, to count the records of half a window.
COUNTING_PAGES = 6
#: Totals that a limit explains as well as chance.
SMALLEST_LIMIT = 100


class _Check(NamedTuple):
    """A question, and what its answer has to say."""

    question: Question
    doubt: Callable[[Page], str | None]


def closing_doubt(fetcher: Fetcher, reading: PageReading, known: Ledger) -> str | None:
    """
    Ask whether a reading is complete; return why it may not be.

    :param reading: a reading without flaw
    :param known: the records that are known of the window
    """
    if not reading.rows:
        fetcher.pause()
    edges = list(_edge_checks(reading, known))
    checks = [*_end_checks(fetcher, reading, known), *edges]
    for number, page in reading.beyond.items():
        if (total := fetcher.endpoint.end.total(page)) != reading.total:
            return f"the total changed from {reading.total} to {total} at page {number}"
        if unknown := known.unknown(page.identities()):
            return f"page {reading.pages} seemed to be the last, but page {number} holds {len(unknown)} others"
    answers = fetcher.ask([check.question for check in checks])
    for check, page in zip(checks, answers, strict=True):
        doubt = check.doubt(page)
        if doubt is None and check in edges and len(page.records) == check.question.size:
            doubt = _crowded_edge_doubt(fetcher, reading, check)
        if doubt:
            return doubt
    return _sum_doubt(fetcher, reading)


def _end_checks(fetcher: Fetcher, reading: PageReading, known: Ledger) -> Iterator[_Check]:
    window, size = reading.window, reading.page_size
    if not fetcher.endpoint.end.is_numbered:
        return
    if reading.total is None and reading.rows:
        following = Question(window, reading.pages + 1, size)
        yield _Check(following, partial(_unknown_doubt, known, f"page {reading.pages + 1}, after the last,"))
    if reading.total is None or reading.rows % size == 0:
        yield _tail_check(window, reading.rows, _other_size(reading, fetcher.endpoint.max_page_size), known)


def _tail_check(window: Window, rows: int, size: int, known: Ledger) -> _Check:
    """Ask for the page, of another size, on which the end lies: some records, all of them known, and no full page."""
    number, due = divmod(rows, size)

    def doubt(page: Page) -> str | None:
        if len(page.records) != due:
            return f"{rows} records came, but page {number + 1} of {size} each holds {len(page.records)}, not {due}"
        return _unknown_doubt(known, f"page {number + 1} of {size} each", page)

    return _Check(Question(window, number + 1, size), doubt)


def _other_size(reading: PageReading, largest: int) -> int:
    """Return a page size that the server is shown to serve, by which the last page holds many records."""
    size = reading.page_size
    served = min(size, max(reading.largest_page, 1))
    smaller = range(served - 1, served // 2, -1)
    others = smaller if len(smaller) else [other for other in (2, 3, 5, 1) if other != size and other <= largest]
    return max(others, key=lambda other: reading.rows % other)


def _crowded_edge_doubt(fetcher: Fetcher, reading: PageReading, check: _Check) -> str | None:
    """Ask for what comes after the known records of an edge, where these fill pages."""
    part, _, size = check.question
    count = 0
    for _, facts in reading.spool.facts(fetcher.endpoint):
        count += sum(not part.displacement(start) for start in facts.starts)
    return check.doubt(fetcher.page(part, count // size + 1, size))


def _edge_checks(reading: PageReading, known: Ledger) -> Iterator[_Check]:
    """Ask for what lies before the earliest and after the latest record, where these tell of a ceiling."""
    window, order = reading.window, reading.order
    if not isinstance(window, TimeRange) or not _can_tell(reading):
        return
    first = min(max(order.lowest // SECOND_MS + 1, window.start + 1), window.end)
    last = max(min(order.highest // SECOND_MS, window.end - 1), window.start)
    for place, start, end in (("earliest", window.start, first), ("latest", last, window.end)):
        part = window.narrowed(start, end)
        if part != window:
            doubt = partial(_unknown_doubt, known, f"what lies beyond the {place} record")
            yield _Check(Question(part, 1, reading.page_size), doubt)


def _can_tell(reading: PageReading) -> bool:
    """Return whether a ceiling would show at one end of the time: where it orders, and selects, the records."""
    order = reading.order
    return bool(order.is_ordered and order.lowest and order.lowest >= reading.window.start * SECOND_MS)


def _sum_doubt(fetcher: Fetcher, reading: PageReading) -> str | None:
    """Compare the whole with the sum of its parts, where nothing cheaper tells of a ceiling."""
    window, rows = reading.window, reading.rows
    if not fetcher.endpoint.end.is_numbered:
        return None
    if _may_be_cut(reading):
        return _parts_doubt(fetcher, window, rows)
    if not rows or not isinstance(window, TimeRange) or _is_second(window) or _can_tell(reading):
        return None
    second = Spread(fetcher.endpoint, window, reading.spool).second_between()
    if second is None:
        return "there is no order by start time, and no second without a record to halve the window at"
    halves = [window.narrowed(window.start, second), window.narrowed(second, window.end)]
    counts = [count_rows(fetcher, half, rows // 2) for half in halves]
    if None in counts or sum(count or 0 for count in counts) != rows:
        return f"{rows} records came, but the halves of {window} hold {counts}"
    return None


def _may_be_cut(reading: PageReading) -> bool:
    """Return whether a ceiling would explain the number of records of a window that cannot be divided by time."""
    window = reading.window
    if not isinstance(window, TimeRange):
        return _is_round(reading.rows)
    return reading.rows >= reading.page_size and (_is_second(window) or reading.order.is_one_second)


def _is_second(window: Window) -> bool:
    return window.end - window.start == 1


def _parts_doubt(fetcher: Fetcher, window: Window, rows: int) -> str | None:
    parts = fetcher.endpoint.parts(window)
    if not parts:  # it is a part itself: a ceiling would cut the whole at the same number
        window = fetcher.endpoint.whole(window)
        if count_rows(fetcher, window, rows) != rows:
            return None
        parts = fetcher.endpoint.parts(window)
    counts = [count_rows(fetcher, part, rows // len(parts)) for part in parts]
    apart = sum(count or 0 for count in counts)
    # Fewer may be DID calls of a further type; calls of one second that no choice of a filter finds cannot be told.
    if None in counts or apart > rows or (apart < rows and isinstance(window, TimeRange)):
        return f"{rows} records came, as many as a limit lets through, and the parts of {window} hold {counts}"
    return None


def _is_round(total: int) -> bool:
    """Return whether a limit explains a total: 500, 1000, 25000, or a power of two."""
    step = 10 ** (len(str(total)) - 1) // 2
    return total >= SMALLEST_LIMIT and (total % step == 0 or total & (total - 1) == 0)


def count_rows(fetcher: Fetcher, window: Window, guess: int) -> int | None:
    """
    Return how many records a window holds, by its last page alone; None where that does not show.

    :param guess: about so many
    """
    size = fetcher.page_size
    number, full = guess // size + 1, 0
    for _ in range(COUNTING_PAGES):
        page = fetcher.page(window, number, size)
        total, rows = fetcher.endpoint.end.total(page), len(page.records)
        if total is not None:
            return total
        if rows < size and (rows or number - 1 == full):
            return (number - 1) * size + rows
        full = number if rows else full
        number += 1 if rows else -1
    return None


def _unknown_doubt(known: Ledger, where: str, page: Page) -> str | None:
    unknown = known.unknown(page.identities())
    return f"{where} holds {len(unknown)} records that are not known" if unknown else None
