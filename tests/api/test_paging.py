"""Pages side by side: all of them, in order, and few too many."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_nxcloud.api.endpoints import Page
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
        return page_of([*rows], *((len(self.rows), self.pages) if self.has_total else (None, None)))


def page_of(keys: list[int], total_records: int | None = None, total_pages: int | None = None) -> Page:
    return Page([msgspec.Raw(b"{}")] * len(keys), keys, [None] * len(keys), total_records, total_pages)


@contextmanager
def sequence_of(fetch: Fetch, page_size: int, concurrency: int) -> Iterator[PageSequence]:
    workers = Workers(concurrency, "nxcloud-page")
    try:
        yield PageSequence(fetch, page_size=page_size, workers=workers, concurrency=concurrency)
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
    with sequence_of(source.fetch, page_size, concurrency) as sequence:
        pages = list(sequence)
    assert [key for page in pages for key in page.keys] == list(source.rows)
    assert len(source.fetched) == len(set(source.fetched))
    if has_total:
        assert len(pages) == len(source.fetched) == max(1, source.pages)
    else:
        assert not pages[-1].records
        assert len(source.fetched) <= source.pages + concurrency + 1
    assert sequence.last_with_records == source.pages


@pytest.mark.parametrize(("records", "requests"), [(0, 2), (1, 2), (99, 2), (100, 3)])
def test_a_small_result_costs_few_requests(records: int, requests: int) -> None:
    source = Source(records, 100, has_total=False)
    with sequence_of(source.fetch, 100, 8) as sequence:
        list(sequence)
    assert len(source.fetched) == requests


def test_pages_are_fetched_side_by_side() -> None:
    """After a short run-up as many as there are workers: each of these pages is answered only with the others."""
    source = Source(1600, 100, has_total=True)
    together = threading.Barrier(4)

    def fetch(number: int) -> Page:
        if 5 <= number <= 12:
            together.wait(20)
        return source.fetch(number)

    with sequence_of(fetch, 100, 4) as sequence:
        assert len(list(sequence)) == 16


def test_nothing_is_fetched_far_ahead_of_its_reader() -> None:
    source = Source(100_000, 100, has_total=True)
    with sequence_of(source.fetch, 100, 4) as sequence:
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
    with sequence_of(fetch, 100, 4) as sequence, pytest.raises(ZeroDivisionError):
        read.extend(sequence)
    assert [page.keys[0] for page in read] == [0, 100, 200]


def test_a_reader_who_leaves_stops_the_fetching() -> None:
    source = Source(10_000, 100, has_total=True)
    with sequence_of(source.fetch, 100, 2) as sequence:
        pages = iter(sequence)
        for _ in range(5):
            next(pages)
        pages.close()  # type: ignore[attr-defined]
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
    pages = iter(PageSequence(fetch, page_size=100, workers=workers, concurrency=2))
    next(pages), next(pages)
    wait_until(lambda: len(source.fetched) == 4)
    pages.close()  # type: ignore[attr-defined]
    after = workers.submit(lambda: sorted(source.fetched))
    gate.set()
    assert after.result(20) == [1, 2, 3, 4]
    workers.stop()


def test_a_page_after_a_short_one_is_told_of() -> None:
    """Whether or not it is needed: such a server pages wrongly."""
    source = Source(1000, 100, has_total=False)

    def fetch(number: int) -> Page:
        page = source.fetch(number)
        return page_of([1, 2, 3]) if number == 3 else page

    with sequence_of(fetch, 100, 1) as sequence:
        pages = list(sequence)
    assert [len(page.records) for page in pages] == [100, 100, 3, 100]
    assert (sequence.last, sequence.last_with_records) == (4, 4)
