"""Which of a query's rows make up a page."""

from itertools import groupby
from random import Random
from typing import NamedTuple

from tests.emulator.behaviour import Behaviour, BeyondEnd
from tests.emulator.store import Entry, Query, RecordSet


class PageOfRows(NamedTuple):
    """The rows of a page, and what the server says beside them."""

    number: int
    size: int  # that the page numbers count in
    entries: list[Entry]
    total: int


def page_of_rows(records: RecordSet, query: Query, behaviour: Behaviour) -> PageOfRows:
    """Return the page that a query is answered with."""
    selection = records.select(query)
    count = _least(len(selection), behaviour.row_ceiling)
    most = _least(query.size, behaviour.page_size_cap)
    size = most if behaviour.offset_by == "capped" else query.size
    number = _served_number(query.page, max(1, -(-count // size)), behaviour.beyond_end)
    first = (number - 1) * size
    last = _least(min(first + most, count), behaviour.depth_ceiling)
    if behaviour.ties == "by_query" and first < last:
        entries = _tied_by_query(selection[:count], first, last, records, query._replace(page=number))
    else:
        entries = selection[first:last]
    total = _least(len(selection), behaviour.ceiling if behaviour.ceiling_in_total else None)
    return PageOfRows(number, size, entries, total)


def _least(number: int, limit: int | None) -> int:
    return number if limit is None else min(number, limit)


def _served_number(asked: int, last: int, beyond_end: BeyondEnd) -> int:
    if asked <= last:
        return asked
    return {"empty": asked, "last": last, "first": 1}[beyond_end]


def _tied_by_query(rows: list[Entry], first: int, last: int, records: RecordSet, query: Query) -> list[Entry]:
    """Return the rows [first, last) of an order in which tied ones stand as this page query has them.

    MariaDB and PostgreSQL do so: which of the tied rows a LIMIT keeps depends on it and on the OFFSET.
    """
    rank = records.sorting.rank
    start, end = first, last
    while start > 0 and rank(rows[start - 1]) == rank(rows[first]):
        start -= 1
    while end < len(rows) and rank(rows[end]) == rank(rows[last - 1]):
        end += 1
    random = Random(repr(query._replace(missing=frozenset())))
    arranged: list[Entry] = []
    for _, tied in groupby(rows[start:end], rank):
        group = list(tied)
        random.shuffle(group)
        arranged += group
    return arranged[first - start : last - start]
