"""The records that the server holds, and the queries on them."""

import datetime
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from operator import attrgetter
from threading import RLock
from typing import Any, NamedTuple

from tests.emulator.encoding import decode, encode
from tests.emulator.endpoints import CALL_CENTER, DID, Endpoint
from tests.emulator.placement import EPOCH, MILLISECOND, Placement
from tests.emulator.records import Record, generate_call_center_cdrs, generate_did_cdrs
from tests.emulator.reporting import Report
from tests.emulator.sorting import Sorting

Filter = tuple[str, Any]

_DAY = datetime.timedelta(days=1)
_position = attrgetter("position")


class Query(NamedTuple):
    """One page of the records that are placed in [start, end) and pass every filter."""

    start: int
    end: int
    filters: tuple[Filter, ...]
    page: int
    size: int
    missing: frozenset[Any] = frozenset()  # keys of records that the server that answers does not hold


class Entry(NamedTuple):
    """A record as it is held: its JSON text as it is reported, and what it is found by.

    Keeping the text instead of the dictionary takes a quarter of the memory.
    """

    position: int
    sequence: int
    until: int
    instant: int
    key: Any
    text: bytes


def day_generator(
    endpoint: Endpoint, per_day: int, seed: int, timezone: str
) -> Callable[[datetime.date], list[Record]] | None:
    """Return what makes the records of a day, or None if days are not to be filled."""
    if per_day <= 0:
        return None
    generate = {CALL_CENTER: generate_call_center_cdrs, DID: generate_did_cdrs}[endpoint]
    return lambda day: generate(day, per_day, seed=seed, timezone=timezone)


class RecordSet:
    """The records of one endpoint: ordered, changeable, safe to share between threads."""

    def __init__(
        self,
        key_field: str,
        placement: Placement,
        *,
        records: Iterable[Record] = (),
        generate: Callable[[datetime.date], list[Record]] | None = None,
        sorting: Sorting,
        report: Report,
    ) -> None:
        self.version = 0
        self.sorting = sorting
        self._key_field = key_field
        self._placement = placement
        self._generate = generate
        self._report = report
        self._lock = RLock()
        self._ordered: list[Entry] = []
        self._by_key: dict[Any, Entry] = {}
        self._sequence = 0
        self._filled: set[datetime.date] = set()
        self._select = lru_cache(maxsize=64)(self._selection)
        self._add_all(records)

    def insert(self, record: Record) -> None:
        """Add a record, in place of one with the same key."""
        with self._lock:
            self._discard(record.get(self._key_field))
            insort(self._ordered, self._entry(record))
            self.version += 1

    def remove(self, key: Any) -> None:
        """Take away the record with this key."""
        with self._lock:
            if not self._discard(key):
                raise KeyError(key)
            self.version += 1

    def select(self, query: Query) -> list[Entry]:
        """Return all the entries that a query selects, in the server's order, whatever its page."""
        self._fill(query.start, query.end)
        return self._select(self.version, query.start, query.end, query.filters, query.missing)

    def started(self, start: float, end: float) -> Iterator[Entry]:
        """Yield the entries of calls that started in [start, end), in epoch seconds, oldest first."""
        first, last = start * 1000, end * 1000
        self._fill_instants(first, last)
        with self._lock:
            entries = [entry for entry in self._ordered if first <= entry.instant < last]
        return iter(sorted(entries, key=attrgetter("instant", "sequence")))

    def _selection(
        self, _: int, start: int, end: int, filters: tuple[Filter, ...], missing: frozenset[Any]
    ) -> list[Entry]:
        entries = self._placed(start, end)
        if missing:
            entries = [entry for entry in entries if entry.key not in missing]
        if filters:
            entries = [entry for entry in entries if _passes(entry, filters)]
        return self.sorting.arrange(entries)

    def _placed(self, start: int, end: int) -> list[Entry]:
        """Return the entries that are placed in [start, end)."""
        if end <= start:
            return []
        with self._lock:
            last = bisect_left(self._ordered, end, key=_position)
            if self._placement.until is None:
                return self._ordered[bisect_left(self._ordered, start, key=_position) : last]
            return [entry for entry in self._ordered[:last] if entry.until >= start]

    def _fill(self, start: int, end: int) -> None:
        """Make the records of the days that the positions [start, end) may touch."""
        if self._generate is None or end <= start:
            return
        day = self._placement.day_of(start) - self._placement.look_back * _DAY
        self._fill_days(day, self._placement.day_of(end - 1))

    def _fill_instants(self, start: float, end: float) -> None:
        if self._generate is None or end <= start:
            return
        first = (EPOCH + start * MILLISECOND).date() - _DAY  # a zone is less than a day away from UTC
        self._fill_days(first, (EPOCH + end * MILLISECOND).date() + _DAY)

    def _fill_days(self, day: datetime.date, last: datetime.date) -> None:
        while day <= last:
            if day not in self._filled:
                self._fill_day(day)
            day += _DAY

    def _fill_day(self, day: datetime.date) -> None:
        with self._lock:
            if self._generate is not None and day not in self._filled:
                self._filled.add(day)
                made = self._generate(day)
                self._add_all(record for record in made if record[self._key_field] not in self._by_key)

    def _add_all(self, records: Iterable[Record]) -> None:
        added = sorted(self._entry(record) for record in records)
        if not added:
            return
        place = bisect_left(self._ordered, added[0])
        following = self._ordered[place : place + 1]
        self._ordered[place:place] = added
        if following and following[0] < added[-1]:  # seldom: a day's records stand together
            self._ordered.sort()
        self.version += 1

    def _entry(self, record: Record) -> Entry:
        self._sequence += 1
        placement = self._placement
        position = placement.position(record)
        until = position if placement.until is None else placement.until(record)
        key = record.get(self._key_field)
        text = encode(self._report(record)).encode()
        entry = Entry(position, self._sequence, until, placement.instant(record), key, text)
        if key is not None:
            self._by_key[key] = entry
        return entry

    def _discard(self, key: Any) -> bool:
        entry = self._by_key.pop(key, None)
        if entry is None:
            return False
        del self._ordered[bisect_left(self._ordered, entry)]
        return True


def _passes(entry: Entry, filters: tuple[Filter, ...]) -> bool:
    record = decode(entry.text)
    return all(record.get(field) == value for field, value in filters)
