"""Pages side by side: all of them, in order, and few too many."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_nxcloud.api.completeness.ends import NumberedPages, ShortPage, Total
from airflow_provider_nxcloud.api.pages import Facts, Page
from airflow_provider_nxcloud.api.paging import PageSequence
from airflow_provider_nxcloud.api.workers import Workers
from tests.api.conftest import examples, worker_threads
from tests.conftest import wait_until

Fetch = Callable[[int], Page]


class Source:
    """A query's answer, page by page, in a second or two of pseudo-random order."""

    def __init__(self, records: int, page_size: int, *, has_total: bool, seed: int = 0) -> None:
        self.rows = range(records)
        self.page_size = page_size
        self.has_total = has_total
        self.fetched: list[int] = []
        self._random = random.Random(seed)

    @property
    def pages(self) -> int:
        """Pages that hold records."""
        return -(-len(self.rows) // self.page_size)

    def fetch(self, number: int) -> Page:
        self.fetched.append(number)
        time.sleep(self._random.choice((0, 0, 0.0001)))
        rows = self.rows[(number - 1) * self.page_size : number * self.page_size]
        return page_of([*rows], len(self.rows) if self.has_total else None)

    def end(self) -> NumberedPages:
        return Total() if self.has_total else ShortPage()


def page_of(keys: list[int], total_records: int | None = None) -> Page:
    return Page([msgspec.Raw(b"{}")] * len(keys), Facts(keys, [None] * len(keys)), total_records)


def keys_of(pages: Iterable[Page]) -> list[str | int | None]:
    return [key for page in pages for key in page.facts.keys]


def new_sequence(
    fetch: Fetch, end: NumberedPages, workers: Workers, concurrency: int, page_size: int = 100
) -> PageSequence:
    return PageSequence(
        fetch,
        lambda number, page: end.last_page(number, page, page_size),
        pages_beyond=end.pages_beyond,
        workers=workers,
        concurrency=concurrency,
    )


@contextmanager
def sequence_of(source: Source, concurrency: int, *, fetch: Fetch | None = None) -> Iterator[PageSequence]:
    workers = Workers(concurrency, "nxcloud-page")
    try:
        yield new_sequence(fetch or source.fetch, source.end(), workers, concurrency, source.page_size)
    finally:
        workers.stop()


@examples(120)
@given(
    records=st.integers(0, 300),
    page_size=st.integers(1, 120),
    concurrency=st.integers(1, 8),
    has_total=st.booleans(),
    seed=st.integers(),
)
def test_all_pages_come_once_and_in_order(
    records: int, page_size: int, concurrency: int, has_total: bool, seed: int
) -> None:
    source = Source(records, page_size, has_total=has_total, seed=seed)
    with sequence_of(source, concurrency) as sequence:
        pages = list(sequence)
    assert keys_of(pages) == list(source.rows)
    assert len(source.fetched) == len(set(source.fetched))
    assert len(pages) == max(1, source.pages)
    assert keys_of(sequence.beyond.values()) == []
    if has_total:
        assert len(source.fetched) == len(pages) + 1
        assert [*sequence.beyond] == [len(pages) + 1]
    else:
        assert len(source.fetched) <= source.pages + concurrency + 1


@pytest.mark.parametrize(("records", "requests"), [(0, 2), (1, 2), (99, 2), (100, 5), (101, 5)])
@pytest.mark.parametrize("has_total", [True, False])
def test_a_small_result_costs_few_requests(records: int, requests: int, has_total: bool) -> None:
    source = Source(records, 100, has_total=has_total)
    with sequence_of(source, 8) as sequence:
        list(sequence)
    assert len(source.fetched) <= requests


def test_pages_are_fetched_side_by_side() -> None:
    """After a short run-up as many as there are workers: each of these pages is answered only with the others."""
    source = Source(1600, 100, has_total=True)
    together = threading.Barrier(4)

    def fetch(number: int) -> Page:
        if 5 <= number <= 12:
            together.wait(20)
        return source.fetch(number)

    with sequence_of(source, 4, fetch=fetch) as sequence:
        assert len(list(sequence)) == 16


def test_nothing_is_fetched_far_ahead_of_its_reader() -> None:
    source = Source(100_000, 100, has_total=True)
    with sequence_of(source, 4) as sequence:
        pages = iter(sequence)
        for _ in range(20):
            next(pages)
        wait_until(lambda: len(source.fetched) >= 24)
    assert max(source.fetched) <= 20 + 2 * 4


def test_a_failure_comes_in_its_turn() -> None:
    source = Source(1000, 100, has_total=True)

    def fetch(number: int) -> Page:
        if number == 4:
            raise ZeroDivisionError
        return source.fetch(number)

    read: list[Page] = []
    with sequence_of(source, 4, fetch=fetch) as sequence, pytest.raises(ZeroDivisionError):
        read.extend(sequence)
    assert [page.facts.keys[0] for page in read] == [0, 100, 200]


def test_a_reader_who_leaves_stops_the_fetching() -> None:
    source = Source(10_000, 100, has_total=True)
    with sequence_of(source, 2) as sequence:
        pages = iter(sequence)
        for _ in range(5):
            next(pages)
        pages.close()
    wait_until(lambda: not worker_threads())
    assert max(source.fetched) <= 5 + 2 * 2


def test_a_reader_who_leaves_gives_up_the_pages_that_have_not_begun() -> None:
    source = Source(10_000, 100, has_total=True)
    gate = threading.Event()

    def fetch(number: int) -> Page:
        page = source.fetch(number)
        if number > 2:
            gate.wait(20)
        return page

    workers = Workers(2, "nxcloud-page")
    pages = iter(new_sequence(fetch, source.end(), workers, 2))
    next(pages), next(pages)
    wait_until(lambda: len(source.fetched) == 4)
    pages.close()
    after = workers.submit(lambda: sorted(source.fetched))
    gate.set()
    assert after.result(20) == [1, 2, 3, 4]
    workers.stop()


def test_a_page_after_a_short_one_is_kept_where_it_came() -> None:
    """Whether or not it is needed: such a server pages wrongly."""
    source = Source(1000, 100, has_total=False)
    is_beyond_read = threading.Event()

    def fetch(number: int) -> Page:
        if number == 5:  # the thread that read page 4 goes on
            is_beyond_read.set()
        page = source.fetch(number)
        if number == 3:
            assert is_beyond_read.wait(20)
            return page_of([1, 2, 3])
        return page

    with sequence_of(source, 2, fetch=fetch) as sequence:
        pages = list(sequence)
    assert [len(page.records) for page in pages] == [100, 100, 3]
    assert len(sequence.beyond[4].records) == 100
