"""
Intervals that tile a time hold each record once over all of them, by whatever time the server selects.

The time of a call that the server compares is not documented, neither how exactly it is stored, nor whether an end is
inclusive. The calls start and end within the tiled time, so that some interval's query lists each of them.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_nxcloud.api.endpoints import CALL_CENTER_CDR, DID_CDR, Endpoint
from tests.api.conftest import NAMES, Record, examples, extraction_of, lines_of
from tests.conftest import DAY_START, ZONE
from tests.emulator import Behaviour, Emulator

HOUR = 3600
DAY = 24 * HOUR
MARGIN = 3

#: Milliseconds from an edge between two intervals.
DISTANCES = (-5000, -1001, -1000, -999, -501, -500, -499, -1, 0, 1, 499, 500, 501, 999, 1000, 1001, 5000)
LENGTHS = (0, 1, 499, 500, 1000, 5000, 90_000, HOUR * 1000, 3 * HOUR * 1000)

selections = st.builds(
    Behaviour,
    selects_by=st.sampled_from(["start", "end", "overlap"]),
    stored_grain=st.sampled_from(["exact", "rounded", "floored"]),
)
seconds = st.fixed_dictionaries(
    {
        "end_time": st.sampled_from(["exclusive", "inclusive", "inclusive_seconds"]),
        "order": st.sampled_from(["ascending", "descending", "none"]),
    }
)


def calls(total: int, step: int, distances: tuple[int, ...]) -> st.SearchStrategy[list[tuple[int, int]]]:
    """Draw start and length, in milliseconds, of calls around the edges of the steps that tile a total in seconds."""
    first, last = MARGIN * 1000, (total - MARGIN) * 1000

    def call(edge: int, distance: int, length: int) -> tuple[int, int]:
        start = min(max(edge * step * 1000 + distance, first), last)
        return start, min(length, last - start)

    return st.lists(
        st.builds(call, st.integers(0, total // step), st.sampled_from(distances), st.sampled_from(LENGTHS)),
        max_size=40,
    )


@examples(25)
@given(
    drawn=calls(2 * HOUR, HOUR // 4, DISTANCES),
    behaviour=selections,
    options=seconds,
    interval=st.sampled_from([HOUR // 4, HOUR // 2, HOUR, 2 * HOUR]),
    window=st.none() | st.sampled_from([15, 30, 60, 90]).map(lambda minutes: timedelta(minutes=minutes)),
    page_size=st.integers(3, 20),
    consistency=st.sampled_from(["single", "double"]),
)
def test_call_center_intervals_and_windows(
    drawn: list[tuple[int, int]],
    behaviour: Behaviour,
    options: dict[str, Any],
    interval: int,
    window: timedelta | None,
    page_size: int,
    consistency: str,
) -> None:
    records = [
        {"callId": f"call {number}", "startTime": start, "endTime": start + length}
        for number, (start, length) in enumerate((DAY_START * 1000 + start, length) for start, length in drawn)
    ]
    with Emulator(call_center=records, behaviour=behaviour, **options) as server:
        starts = range(DAY_START, DAY_START + 2 * HOUR, interval)
        found = lines_of_all(
            server, CALL_CENTER_CDR, starts, interval, window=window, page_size=page_size, consistency=consistency
        )
        assert found == expected(server, CALL_CENTER_CDR, records)


@examples(25)
@given(
    drawn=calls(3 * DAY, DAY // 4, (-5000, -1000, 0, 1000, 5000)),
    date_of=st.sampled_from(["start", "end", "both"]),
    order=st.sampled_from(["ascending", "descending", "none"]),
    interval=st.sampled_from([DAY // 4, DAY // 2, DAY, 3 * DAY]),
    page_size=st.integers(3, 20),
    consistency=st.sampled_from(["single", "double"]),
)
def test_did_intervals_and_dates(
    drawn: list[tuple[int, int]], date_of: Any, order: Any, interval: int, page_size: int, consistency: str
) -> None:
    def wall_clock(milliseconds: int) -> str:
        return str(datetime.fromtimestamp(DAY_START + milliseconds // 1000, ZONE).replace(tzinfo=None))

    records = [
        {"id": number, "startTime": wall_clock(start), "endTime": wall_clock(start + length)}
        for number, (start, length) in enumerate(drawn)
    ]
    with Emulator(did=records, did_date_of=date_of, order=order) as server:
        starts = range(DAY_START, DAY_START + 3 * DAY, interval)
        found = lines_of_all(server, DID_CDR, starts, interval, page_size=page_size, consistency=consistency)
        assert found == expected(server, DID_CDR, records)


def lines_of_all(server: Emulator, endpoint: Endpoint, starts: range, interval: int, **options: Any) -> Counter[bytes]:
    """Return how often each record is in the intervals that begin at the starts."""
    found: Counter[bytes] = Counter()
    for start in starts:
        with extraction_of(server, endpoint, start, start + interval, **options) as extraction:
            found.update(line.rstrip() for line in lines_of(extraction))
    return found


def expected(server: Emulator, endpoint: Endpoint, records: list[Record]) -> Counter[bytes]:
    return Counter(server.json_of(NAMES[endpoint], record) for record in records)
