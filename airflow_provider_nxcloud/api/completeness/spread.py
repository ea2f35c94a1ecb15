"""How a window's records are spread over its time."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from airflow_provider_nxcloud.api.completeness.keeping import Spool
from airflow_provider_nxcloud.api.windows import TimeRange

if TYPE_CHECKING:
    from airflow_provider_nxcloud.api.endpoints import Endpoint

#: Pieces of a window in which its records are counted.
PIECES = 4096
#: Seconds that are tried when a window is to be halved between two of its records.
SECONDS_TRIED = 1000


class Spread:
    """
    Counts records by the time at which they start, in constant memory.

    :param endpoint: the kind of records
    :param window: what they are of
    :param spool: where they are
    """

    def __init__(self, endpoint: Endpoint, window: TimeRange, spool: Spool) -> None:
        self._endpoint = endpoint
        self._window = window
        self._spool = spool
        seconds = window.end - window.start
        self._width = -(-seconds // PIECES)
        self._counts = array("l", [0]) * -(-seconds // self._width)
        for second in self._seconds():
            if window.start <= second < window.end:
                self._counts[(second - window.start) // self._width] += 1

    def spans(self, rows: float) -> list[tuple[int, int]]:
        """Cut the window into spans of so many records at most, where a piece does not hold more by itself."""
        edges = [self._window.start]
        filled = 0
        for number, count in enumerate(self._counts):
            if filled and filled + count > rows:
                edges.append(self._edge(number))
                filled = 0
            filled += count
        return list(pairwise([*edges, self._window.end]))

    def second_between(self) -> int | None:
        """Return a second near the middle of the records in which none of them starts, where there is one."""
        rows, half = 0, sum(self._counts) // 2
        for number, count in enumerate(self._counts):
            rows += count
            if rows > half:
                return self._free_second(max(self._edge(number), self._window.start + 1))
        return None

    def _seconds(self) -> Iterator[int]:
        for _, facts in self._spool.facts(self._endpoint):
            yield from map(self._window.second, facts.starts)

    def _edge(self, number: int) -> int:
        return self._window.start + number * self._width

    def _free_second(self, first: int) -> int | None:
        tried = range(first, min(first + SECONDS_TRIED, self._window.end))
        taken = {second for second in self._seconds() if second in tried}
        return next((second for second in tried if second not in taken), None)
