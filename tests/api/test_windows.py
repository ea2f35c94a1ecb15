"""Windows: how an interval is divided, and where a record's start time lies."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_nxcloud.api.endpoints import CALL_CENTER_CDR, DID_CDR, Endpoint
from airflow_provider_nxcloud.api.windows import Window
from tests.api.conftest import examples
from tests.conftest import DAY_END, DAY_START, ZONE

ZONES = [
    ZoneInfo(name)
    for name in (
        "Asia/Shanghai",
        "UTC",
        "America/New_York",
        "America/Sao_Paulo",  # its clocks changed at midnight
        "America/St_Johns",  # a minute after midnight
        "Australia/Lord_Howe",  # by half an hour
        "Pacific/Apia",  # left out 30 December 2011
    )
]
#: Weeks with a change of the clocks somewhere.
WEEKS = [
    int(datetime(*day, tzinfo=ZONES[1]).timestamp())
    for day in ((2026, 3, 5), (2026, 10, 29), (2018, 11, 1), (2018, 2, 15), (2010, 11, 4), (2011, 12, 27))
]
instants = st.builds(int.__add__, st.sampled_from(WEEKS), st.integers(0, 7 * 86_400))


def windows_of(
    endpoint: Endpoint, start: int, end: int, timezone: ZoneInfo = ZONE, span: timedelta | None = None
) -> list[Window]:
    return list(endpoint.windows(start, end, filters={}, timezone=timezone, span=span))


class TestWindows:
    def test_call_center_asks_for_the_interval_in_seconds(self) -> None:
        (window,) = windows_of(CALL_CENTER_CDR, DAY_START, DAY_END)
        assert window.parameters == {"startTime": DAY_START, "endTime": DAY_END}

    def test_call_center_is_divided_by_the_span(self) -> None:
        windows = windows_of(CALL_CENTER_CDR, 1000, 1025, span=timedelta(seconds=10))
        assert [(window.start, window.end) for window in windows] == [(1000, 1010), (1010, 1020), (1020, 1025)]

    @examples(100)
    @given(start=instants, length=st.integers(1, 10**6), span=st.none() | st.floats(1, 10**6))
    def test_call_center_windows_tile_the_interval(self, start: int, length: int, span: float | None) -> None:
        step = timedelta(seconds=span) if span and length / span < 1000 else None
        windows = windows_of(CALL_CENTER_CDR, start, start + length, span=step)
        edges = [window.start for window in windows] + [windows[-1].end]
        assert edges == sorted(set(edges))
        assert (edges[0], edges[-1]) == (start, start + length)
        assert [window.end for window in windows[:-1]] == edges[1:-1]

    @examples(300)
    @given(zone=st.sampled_from(ZONES), edges=st.sets(instants, min_size=2, max_size=2))
    def test_did_windows_tile_the_interval_and_are_a_date_each(self, zone: ZoneInfo, edges: set[int]) -> None:
        start, end = sorted(edges)
        end = min(end, start + 14 * 86_400)
        windows = windows_of(DID_CDR, start, end, zone)
        dates = [window.parameters["date"] for window in windows]
        assert dates == sorted(set(dates))
        assert (windows[0].start, windows[-1].end) == (start, end)
        assert all(window.start < window.end for window in windows)
        assert [window.end for window in windows[:-1]] == [window.start for window in windows[1:]]

    def test_did_queries_each_date_that_a_utc_day_touches(self) -> None:
        start = int(datetime.fromisoformat("2026-03-17T00:00:00Z").timestamp())
        windows = windows_of(DID_CDR, start, start + 86_400)
        assert [window.parameters for window in windows] == [{"date": "2026-03-17"}, {"date": "2026-03-18"}]

    def test_did_skips_a_date_that_there_never_was(self) -> None:
        apia = ZoneInfo("Pacific/Apia")
        start, end = (int(datetime(2011, 12, day, tzinfo=apia).timestamp()) for day in (29, 32 - 1))
        windows = windows_of(DID_CDR, start, end + 3600, apia)
        assert [window.parameters["date"] for window in windows] == ["2011-12-29", "2011-12-31"]

    def test_did_puts_what_comes_before_the_first_midnight_into_the_date_before(self) -> None:
        """The clocks went from 23:30 to 00:30: that day's own midnight, which never came, counts as 01:00."""
        toronto = ZoneInfo("America/Toronto")
        start = int(datetime.fromisoformat("1919-03-31T04:30:00Z").timestamp())
        windows = windows_of(DID_CDR, start, start + 3600, toronto)
        assert [window.parameters["date"] for window in windows] == ["1919-03-30", "1919-03-31"]
        assert [window.start for window in windows] == [start, start + 1800]


class TestSelection:
    """A window leaves out only what the very same query brings to the neighbouring interval."""

    def test_call_center_keeps_all(self) -> None:
        (window,) = windows_of(CALL_CENTER_CDR, 1000, 1010)
        assert window.selected([0, 999_999, 1_000_000, 1_010_000, None]) is None

    def test_did_keeps_all_of_a_whole_date(self) -> None:
        (window,) = windows_of(DID_CDR, DAY_START, DAY_END)
        assert window.selected(["2001-01-01 00:00:00", None, "no time at all"]) is None

    def test_did_moves_what_lies_outside_into_the_date(self) -> None:
        starts = [
            "2026-03-16 23:59:59",
            None,
            "",
            "2026-03-17 00:00:00",
            "2026-03-17 11:59:59",
            "2026-03-17 12:00:00",
            "2026-03-18 00:00:00",
            "2026-03-17T05:00:00Z",
        ]
        noon = DAY_START + 43_200
        (morning,) = windows_of(DID_CDR, DAY_START, noon)
        (afternoon,) = windows_of(DID_CDR, noon, DAY_END)
        assert morning.selected(starts) == [True, True, True, True, True, False, False, False]
        assert afternoon.selected(starts) == [False, False, False, False, False, True, True, True]

    @pytest.mark.parametrize("start", ["yesterday", "17/03/2026 00:00:00", "85200001234"])
    def test_did_does_not_guess_a_time_that_it_cannot_read(self, start: str) -> None:
        (window,) = windows_of(DID_CDR, DAY_START, DAY_START + 1)
        with pytest.raises(ValueError, match="not an ISO 8601 date or time") as caught:
            window.selected([start])
        assert start not in str(caught.value)

    @examples(300)
    @given(
        zone=st.sampled_from(ZONES),
        cuts=st.sets(instants, min_size=3, max_size=8),
        wall_clock=instants.map(lambda second: datetime.fromtimestamp(second, ZONES[1]).replace(tzinfo=None)),
        days_off=st.integers(-1, 1),
    )
    def test_did_selects_each_record_of_a_date_once(
        self, zone: ZoneInfo, cuts: set[int], wall_clock: datetime, days_off: int
    ) -> None:
        """Whatever the record's time and the date that the server files it under, the tiles share it out once."""
        date = (wall_clock + timedelta(days=days_off)).date()
        day = int(datetime(date.year, date.month, date.day, tzinfo=zone).timestamp())
        edges = sorted(
            {cut for cut in cuts if day - 86_400 < cut < day + 2 * 86_400} | {day - 86_400, day + 2 * 86_400}
        )
        chosen = 0
        asked = False
        for start, end in pairwise(edges):
            for window in windows_of(DID_CDR, start, end, zone):
                if window.parameters["date"] == date.isoformat():
                    asked = True
                    selected = window.selected([wall_clock.isoformat(" ")])
                    chosen += selected is None or selected[0]
        assert chosen == asked == (date.isoformat() != "2011-12-30" or zone.key != "Pacific/Apia")


class TestDisplacement:
    """By how many milliseconds a start time lies outside of what was asked for."""

    def test_from_a_range(self) -> None:
        (window,) = windows_of(CALL_CENTER_CDR, 1000, 1010)
        starts = [999_999, 1_000_000, 1_009_999, 1_010_000, 1_010_999]
        assert [window.displacement(start) for start in starts] == [-1, 0, 0, 1, 1000]
        assert [window.contains_all([start]) for start in starts] == [False, True, True, False, False]

    @pytest.mark.parametrize("start", [None, 0])
    def test_of_one_that_is_not_told(self, start: int | None) -> None:
        (window,) = windows_of(CALL_CENTER_CDR, 1000, 1010)
        assert window.displacement(start) == -1
        assert not window.contains_all([1_000_000, start])

    def test_from_a_date_even_where_the_window_is_a_part_of_it(self) -> None:
        (window,) = windows_of(DID_CDR, DAY_START + 3600, DAY_END)
        starts = ["2026-03-16 23:59:59", "2026-03-17 00:00:00", "2026-03-17 23:59:59", "2026-03-18 00:00:00", None]
        assert [window.displacement(start) for start in starts] == [-1000, 0, 0, 1, -1]
        assert window.contains_all(starts[1:3])
        assert not any(window.contains_all([start]) for start in (starts[0], *starts[3:]))


class TestNeighbour:
    """The question that shows whether a neighbouring interval is given a record, too."""

    def test_of_a_range_is_the_second_at_the_edge(self) -> None:
        window = next(CALL_CENTER_CDR.windows(1000, 1010, filters={"name": "NX0001"}, timezone=ZONE, span=None))
        before, after = (window.neighbour(start, (1000, 1010)) for start in (5, 1_010_000))
        assert before.parameters == {"startTime": 999, "endTime": 1000, "name": "NX0001"}
        assert after.parameters == {"startTime": 1010, "endTime": 1011, "name": "NX0001"}

    @pytest.mark.parametrize(
        ("start", "date"),
        [("2026-03-16 23:59:59", "2026-03-16"), ("2026-03-18 00:00:00", "2026-03-18"), (None, "2026-03-16")],
    )
    def test_of_a_date_is_the_date_of_the_record(self, start: str | None, date: str) -> None:
        (window,) = windows_of(DID_CDR, DAY_START, DAY_END)
        assert window.neighbour(start, (DAY_START, DAY_END)).parameters == {"date": date}
