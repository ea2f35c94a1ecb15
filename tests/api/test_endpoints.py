"""The endpoints: what is asked for, how an interval is divided, how a page is read."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_nxcloud.api.endpoints import CALL_CENTER_CDR, DID_CDR, ENDPOINTS, Endpoint, Window
from tests.api.conftest import each_kind, examples
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


def test_facts_of_the_call_center_endpoint() -> None:
    endpoint = CALL_CENTER_CDR
    assert (endpoint.path, endpoint.biz_type, endpoint.action) == ("/saas/cc/openapi/cdr/page", "8", "cc")
    assert endpoint.max_page_size == 100
    assert endpoint.page_parameters(3, 50) == {"size": 50, "page": 3}


def test_facts_of_the_did_endpoint() -> None:
    endpoint = DID_CDR
    assert (endpoint.path, endpoint.biz_type, endpoint.action) == ("/api/did/cdr", "4", "cdr")
    assert endpoint.max_page_size == 999
    assert endpoint.page_parameters(3, 50) == {"pageSize": 50, "page": 3}


def test_kinds_are_distinct() -> None:
    assert [endpoint.kind for endpoint in ENDPOINTS] == ["call_center_cdr", "did_cdr"]


class TestFilters:
    @pytest.mark.parametrize(
        ("endpoint", "filters", "expected"),
        [
            (CALL_CENTER_CDR, {}, {}),
            (CALL_CENTER_CDR, {"answered": "all", "direction": "all"}, {}),
            (CALL_CENTER_CDR, {"answered": "unanswered"}, {"answered": 1}),
            (CALL_CENTER_CDR, {"answered": "answered"}, {"answered": 2}),
            (CALL_CENTER_CDR, {"direction": "incoming"}, {"direction": 1}),
            (CALL_CENTER_CDR, {"direction": "outgoing"}, {"direction": 2}),
            (CALL_CENTER_CDR, {"direction": "aicc"}, {"direction": 3}),
            (CALL_CENTER_CDR, {"agent_name": "NX0001", "order_id": "7"}, {"name": "NX0001", "orderId": "7"}),
            (
                CALL_CENTER_CDR,
                {"caller": "0001", "callee": "0002", "call_id": "c"},
                {"caller": "0001", "callee": "0002", "callId": "c"},
            ),
            (DID_CDR, {"did_number": "0001", "call_number": "0002"}, {"didNumber": "0001", "callNumber": "0002"}),
            (DID_CDR, {"call_type": "incoming"}, {"type": 0}),
            (DID_CDR, {"call_type": "outgoing"}, {"type": 1}),
            (DID_CDR, {"call_type": None, "did_number": ""}, {}),
        ],
    )
    def test_become_parameters(
        self, endpoint: Endpoint, filters: dict[str, str | None], expected: dict[str, Any]
    ) -> None:
        parameters = endpoint.filter_parameters(filters)
        assert parameters == expected
        assert [type(value) for value in parameters.values()] == [type(value) for value in expected.values()]

    @pytest.mark.parametrize(
        ("endpoint", "filters", "expected"),
        [
            (CALL_CENTER_CDR, {"did_number": "0001"}, "call_center_cdr has no filter 'did_number'; it has answered"),
            (DID_CDR, {"caller": None}, "did_cdr has no filter 'caller'; it has did_number, call_number, call_type"),
            (CALL_CENTER_CDR, {"answered": "yes"}, "answered must be one of all, unanswered, answered, not 'yes'"),
            (DID_CDR, {"call_type": "0"}, "call_type must be one of incoming, outgoing, not '0'"),
        ],
    )
    def test_unknown_ones_are_refused(self, endpoint: Endpoint, filters: dict[str, str | None], expected: str) -> None:
        with pytest.raises(ValueError, match=expected):
            endpoint.filter_parameters(filters)

    @each_kind
    def test_are_part_of_each_query_but_not_of_its_repr(self, endpoint: Endpoint) -> None:
        filters = {"callNumber": "85200001234"}
        (window,) = endpoint.windows(DAY_START, DAY_END, filters=filters, timezone=ZONE, span=None)
        assert window.parameters["callNumber"] == "85200001234"
        assert "8520" not in repr(window)


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
    """What starts outside a window is dropped only where another window is certain to hold it."""

    def test_call_center_drops_what_starts_at_the_end(self) -> None:
        (window,) = windows_of(CALL_CENTER_CDR, 1000, 1010)
        starts = [999_999, 1_000_000, 1_009_999, 1_010_000, 1_010_999, None, 0]
        assert window.select(starts) == [True, True, True, False, False, True, True]
        assert window.count_early(starts) == 2

    def test_call_center_says_where_nothing_is_dropped(self) -> None:
        (window,) = windows_of(CALL_CENTER_CDR, 1000, 1010)
        assert window.select([1_000_000, None]) is None

    def test_did_keeps_all_of_a_whole_date(self) -> None:
        (window,) = windows_of(DID_CDR, DAY_START, DAY_END)
        assert window.select(["2001-01-01 00:00:00", None, "no time at all"]) is None

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
        assert morning.select(starts) == [True, True, True, True, True, False, False, False]
        assert afternoon.select(starts) == [False, False, False, False, False, True, True, True]

    @pytest.mark.parametrize("start", ["yesterday", "17/03/2026 00:00:00", "85200001234"])
    def test_did_does_not_guess_a_time_that_it_cannot_read(self, start: str) -> None:
        (window,) = windows_of(DID_CDR, DAY_START, DAY_START + 1)
        with pytest.raises(ValueError, match="not an ISO 8601 date or time") as caught:
            window.select([start])
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
                    selected = window.select([wall_clock.isoformat(" ")])
                    chosen += selected is None or selected[0]
        assert chosen == asked == (date.isoformat() != "2011-12-30" or zone.key != "Pacific/Apia")


class TestPages:
    def test_call_center(self) -> None:
        page = CALL_CENTER_CDR.read_page(
            b'{"code":0,"data":[{"callId":"a","startTime":5},{"callId":7},{"callId":""},{"callId":null,"x":1}]}'
        )
        assert bytes(page.records[0]) == b'{"callId":"a","startTime":5}'
        assert page.keys == ["a", 7, None, None]
        assert page.starts == [5, None, None, None]
        assert (page.total_records, page.total_pages) == (None, None)

    def test_did(self) -> None:
        page = DID_CDR.read_page(
            b'{"code":0,"data":{"totalRow":4,"totalPage":1,"list":[{"id":1,"startTime":"2026-03-17 00:00:00"},'
            b'{"id":"b"},{"id":""},{"id":0}]}}'
        )
        assert len(page.records) == 4
        assert page.keys == [1, "b", None, 0]
        assert page.starts == ["2026-03-17 00:00:00", None, None, None]
        assert (page.total_records, page.total_pages) == (4, 1)

    def test_did_without_records_may_have_no_list(self) -> None:
        page = DID_CDR.read_page(b'{"code":0,"data":{"totalRow":0,"totalPage":0,"list":null}}')
        assert (list(page.records), page.total_records) == ([], 0)

    @each_kind
    def test_keys_of_records(self, endpoint: Endpoint) -> None:
        records = b'[{"callId":"a","id":"a"},{"x":1},{"callId":"","id":""}]'
        assert endpoint.read_keys(records) == ["a", None, None]
