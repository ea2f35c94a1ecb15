"""Tests of what the emulator does otherwise than one expects: always, or from a fault on."""

import datetime
from collections import Counter
from collections.abc import Callable
from operator import itemgetter
from typing import Any

import pytest
import requests

from tests.conftest import wait_until
from tests.emulator import Behaviour, Emulator, Fault, generate_call_center_cdrs, generate_did_cdrs
from tests.emulator.asking import DAY, END, START, all_records, records_of, send
from tests.emulator.behaviour import USUAL
from tests.emulator.records import Record

KEYS = {"call_center": "callId", "did": "id"}
SIZES = {"call_center": "size", "did": "pageSize"}
OTHER_DAY: dict[str, dict[str, Any]] = {
    "call_center": {"startTime": END, "endTime": END + 86400},
    "did": {"date": "2023-07-02"},
}

each_endpoint = pytest.mark.parametrize("endpoint", KEYS)


def server_of(endpoint: str, records: list[Record], behaviour: Behaviour = USUAL, **options: Any) -> Emulator:
    return Emulator(behaviour=behaviour, **{endpoint: records, **options})


def records_of_day(endpoint: str, count: int) -> list[Record]:
    generate = {"call_center": generate_call_center_cdrs, "did": generate_did_cdrs}[endpoint]
    return generate(DAY, count)


def tied(endpoint: str, count: int, groups: int = 1) -> list[Record]:
    """Return records that start at as few different times, a minute apart."""

    def start(minute: int) -> Any:
        return (START + 60 * minute) * 1000 if endpoint == "call_center" else f"2023-07-01 00:{minute:02d}:00"

    records = records_of_day(endpoint, count)
    return [record | {"startTime": start(number % groups)} for number, record in enumerate(records)]


def keys_of(endpoint: str, records: list[Record]) -> list[Any]:
    return [record[KEYS[endpoint]] for record in records]


def page_of(server: Emulator, endpoint: str, page: int, size: int, **changes: Any) -> list[Any]:
    return keys_of(endpoint, records_of(server, endpoint, **{SIZES[endpoint]: size, "page": page, **changes}))


def did_data(server: Emulator, **changes: Any) -> dict[str, Any]:
    data: dict[str, Any] = send(server, "did", **changes).json()["data"]
    return data


class TestTies:
    @each_endpoint
    @pytest.mark.parametrize("groups", [1, 4])
    def test_by_query_lose_records_at_the_edges_of_pages(self, endpoint: str, groups: int) -> None:
        records = tied(endpoint, 60, groups)
        with server_of(endpoint, records, Behaviour(ties="by_query")) as server:
            readings = {size: keys_of(endpoint, all_records(server, endpoint, size)) for size in (7, 8, 11, 13)}
        for found in readings.values():
            assert len(found) == 60
            assert max(Counter(found).values()) > 1
            assert set(found) < set(keys_of(endpoint, records))

    @each_endpoint
    def test_by_query_are_the_same_each_time(self, endpoint: str) -> None:
        records = tied(endpoint, 60)
        readings = []
        for _ in range(2):
            with server_of(endpoint, records, Behaviour(ties="by_query")) as server:
                readings += [all_records(server, endpoint, 9) for _ in range(2)]
        assert all(reading == readings[0] for reading in readings)

    @each_endpoint
    def test_by_query_depend_on_size_page_range_and_filter(self, endpoint: str) -> None:
        records = [record | {"direction": 0, "callType": 0} for record in tied(endpoint, 60)]
        everything: dict[str, Any] = {"call_center": {"direction": 1}, "did": {"type": 0}}[endpoint]
        with server_of(endpoint, records, Behaviour(ties="by_query")) as server:
            first = page_of(server, endpoint, 1, 30)
            assert page_of(server, endpoint, 1, 29) != first[:29]
            assert page_of(server, endpoint, 1, 30, **everything) != first
            if endpoint == "call_center":
                assert page_of(server, endpoint, 1, 30, endTime=END - 1) != first

    @each_endpoint
    @pytest.mark.parametrize("order", ["ascending", "descending"])
    def test_by_query_keep_to_the_order_by_time(self, endpoint: str, order: Any) -> None:
        records = tied(endpoint, 60, 5)
        with server_of(endpoint, records, Behaviour(ties="by_query"), order=order) as server:
            starts = [record["startTime"] for record in all_records(server, endpoint, 7)]
        assert starts == sorted(starts, reverse=order == "descending")

    @each_endpoint
    def test_one_page_holds_all(self, endpoint: str) -> None:
        records = tied(endpoint, 60)
        with server_of(endpoint, records, Behaviour(ties="by_query")) as server:
            assert Counter(page_of(server, endpoint, 1, 100)) == Counter(keys_of(endpoint, records))

    def test_different_times_lose_nothing(self) -> None:
        records = [{"callId": str(n), "startTime": (START + n) * 1000} for n in range(60)]
        with server_of("call_center", records, Behaviour(ties="by_query")) as server:
            assert all_records(server, "call_center", 7) == records[::-1]

    @pytest.mark.parametrize(("grain", "apart"), [("second", 10), ("minute", 1000)])
    def test_times_of_one_grain_are_tied(self, grain: Any, apart: int) -> None:
        records = [{"callId": str(n), "startTime": START * 1000 + apart * (59 - n)} for n in range(60)]
        with server_of("call_center", records, Behaviour(sort_grain=grain)) as server:
            assert all_records(server, "call_center", 7) == records[::-1]  # in order of arrival, not of time
        with server_of("call_center", records, Behaviour(sort_grain=grain, ties="by_query")) as server:
            found = keys_of("call_center", all_records(server, "call_center", 7))
            assert len(found) == 60 > len(set(found))


class TestOrder:
    @each_endpoint
    def test_none_has_nothing_to_do_with_time(self, endpoint: str) -> None:
        records = records_of_day(endpoint, 60)
        with server_of(endpoint, records, order="none") as server:
            found = [all_records(server, endpoint, size) for size in (7, 60)]
        assert found[0] == found[1]
        assert sorted(found[0], key=itemgetter("startTime")) != found[0] != found[0][::-1]
        assert Counter(keys_of(endpoint, found[0])) == Counter(keys_of(endpoint, records))


class TestCeilings:
    CEILINGS = pytest.mark.parametrize("name", ["row_ceiling", "depth_ceiling"])

    def behaviour(self, name: str, rows: int, **options: Any) -> Behaviour:
        return Behaviour(**{name: rows, **options})

    @each_endpoint
    @CEILINGS
    @pytest.mark.parametrize("size", [7, 25, 60])
    def test_cut_each_query(self, endpoint: str, name: str, size: int) -> None:
        records = records_of_day(endpoint, 60)
        with server_of(endpoint, records, self.behaviour(name, 25)) as server:
            assert all_records(server, endpoint, size) == records[::-1][:25]

    @CEILINGS
    def test_leave_a_smaller_query_alone(self, name: str) -> None:
        records = records_of_day("call_center", 60)
        noon = START + 12 * 3600
        with server_of("call_center", records, self.behaviour(name, 45)) as server:
            found = [
                *all_records(server, "call_center", 10, startTime=noon),
                *all_records(server, "call_center", 10, endTime=noon),
            ]
        assert found == records[::-1]

    @CEILINGS
    @pytest.mark.parametrize(("in_total", "total", "pages"), [(False, 60, 6), (True, 25, 3)])
    def test_total(self, name: str, in_total: bool, total: int, pages: int) -> None:
        behaviour = self.behaviour(name, 25, ceiling_in_total=in_total)
        with server_of("did", records_of_day("did", 60), behaviour) as server:
            data = did_data(server, pageSize=10)
        assert (data["totalRow"], data["totalPage"]) == (total, pages)

    def test_the_page_beyond_the_depth_is_empty_whatever_stands_in_for_one_beyond_the_end(self) -> None:
        records = records_of_day("call_center", 60)
        with server_of("call_center", records, Behaviour(depth_ceiling=20, beyond_end="first")) as server:
            assert page_of(server, "call_center", 3, 10) == []
            assert page_of(server, "call_center", 7, 10) == page_of(server, "call_center", 1, 10) != []


class TestPageSizes:
    @each_endpoint
    def test_a_cap_below_an_offset_by_the_size_asked_for(self, endpoint: str) -> None:
        records = records_of_day(endpoint, 60)
        with server_of(endpoint, records, Behaviour(page_size_cap=20)) as server:
            pages = [page_of(server, endpoint, number, 30) for number in (1, 2, 3)]
            whole = page_of(server, endpoint, 2, 20)
        newest_first = keys_of(endpoint, records[::-1])
        assert pages == [newest_first[:20], newest_first[30:50], []]
        assert whole == newest_first[20:40]

    @each_endpoint
    def test_an_offset_by_the_cap(self, endpoint: str) -> None:
        records = records_of_day(endpoint, 60)
        with server_of(endpoint, records, Behaviour(page_size_cap=20, offset_by="capped")) as server:
            pages = [page_of(server, endpoint, number, 30) for number in (1, 2, 3, 4)]
        newest_first = keys_of(endpoint, records[::-1])
        assert pages == [newest_first[:20], newest_first[20:40], newest_first[40:], []]

    @pytest.mark.parametrize(("offset_by", "size", "pages"), [("asked", 50, 2), ("capped", 20, 3)])
    def test_what_is_said_is_what_the_offset_counts_by(self, offset_by: Any, size: int, pages: int) -> None:
        behaviour = Behaviour(page_size_cap=20, offset_by=offset_by)
        with server_of("did", records_of_day("did", 60), behaviour) as server:
            data = did_data(server, pageSize=50)
        assert (data["totalRow"], data["pageSize"], data["totalPage"]) == (60, size, pages)


class TestBeyondTheEnd:
    @each_endpoint
    @pytest.mark.parametrize(("beyond_end", "served"), [("empty", None), ("last", 3), ("first", 1)])
    def test_page(self, endpoint: str, beyond_end: Any, served: int | None) -> None:
        with server_of(endpoint, records_of_day(endpoint, 25), Behaviour(beyond_end=beyond_end)) as server:
            expected = page_of(server, endpoint, served, 10) if served else []
            assert [page_of(server, endpoint, number, 10) for number in (4, 5, 100)] == [expected] * 3
            assert len(all_records(server, endpoint, 10)) == 25

    def test_page_is_the_same_where_ties_are_by_query(self) -> None:
        behaviour = Behaviour(beyond_end="first", ties="by_query")
        with server_of("call_center", tied("call_center", 25), behaviour) as server:
            assert page_of(server, "call_center", 9, 10) == page_of(server, "call_center", 1, 10)

    @each_endpoint
    @pytest.mark.parametrize("beyond_end", ["empty", "last", "first"])
    def test_of_nothing(self, endpoint: str, beyond_end: Any) -> None:
        with server_of(endpoint, [], Behaviour(beyond_end=beyond_end)) as server:
            assert [page_of(server, endpoint, number, 10) for number in (1, 2)] == [[], []]


class TestReportedTimes:
    @pytest.mark.parametrize(
        ("unit", "shift", "reported"),
        [
            ("milliseconds", 28_800, lambda time: time + 28_800_000),
            ("microseconds", 0, lambda time: time * 1000),
            ("seconds", 0, lambda time: time // 1000),
            ("seconds", -3600, lambda time: time // 1000 - 3600),
        ],
    )
    def test_of_call_center_records(self, unit: Any, shift: int, reported: Callable[[int], int]) -> None:
        records = generate_call_center_cdrs(DAY, 50)
        behaviour = Behaviour(reported_unit=unit, reported_shift_seconds=shift)
        with server_of("call_center", records, behaviour) as server:
            served = records_of(server, "call_center")[::-1]
            body = send(server, "call_center").content
            assert server.call_center_cdrs(START, END) == served
            assert all(server.json_of("call_center", record) in body for record in served)
        for name in ("startTime", "endTime", "ringTime"):
            assert [record[name] for record in served] == [reported(record[name]) for record in records]
        assert {record["answerTime"] for record in served if not record["answered"]} == {0}
        assert [record["callDuration"] for record in served] == [record["callDuration"] for record in records]

    def test_of_did_records(self) -> None:
        records = generate_did_cdrs(DAY, 50)
        with server_of("did", records, Behaviour(reported_shift_seconds=-28_800)) as server:
            served = records_of(server, "did")[::-1]
            assert server.did_cdrs(START, END) == served
        assert served[0]["startTime"] == "2023-06-30 16:00:00"
        for name in ("startTime", "endTime"):
            shifted = [datetime.datetime.fromisoformat(record[name]) for record in served]
            true = [datetime.datetime.fromisoformat(record[name]) for record in records]
            assert {after - before for after, before in zip(shifted, true, strict=True)} == {
                datetime.timedelta(hours=-8)
            }

    def test_records_without_a_key(self) -> None:
        records = generate_did_cdrs(DAY, 50)
        with server_of("did", records, Behaviour(without_key=True)) as server:
            server.remove("did", records.pop()["id"])
            served = records_of(server, "did")
            assert server.did_cdrs(START, END) == served[::-1]
        assert served == [{name: value for name, value in record.items() if name != "id"} for record in records[::-1]]


class TestSelection:
    #: A call that begins and ends around each bound of the range, at such distances in milliseconds.
    CALLS = {  # noqa: RUF012
        "before": (START * 1000 - 9000, START * 1000 - 8000),
        "into": (START * 1000 - 600, START * 1000 + 5000),
        "within": (START * 1000 + 400, END * 1000 - 5000),
        "out of": (END * 1000 - 400, END * 1000 + 400),
        "after": (END * 1000 + 400, END * 1000 + 9000),
        "long after": (END * 1000 + 2000, END * 1000 + 9000),
    }

    @pytest.mark.parametrize(
        ("end_time", "behaviour", "expected"),
        [
            ("exclusive", Behaviour(), {"within", "out of"}),
            ("exclusive", Behaviour(selects_by="end"), {"into", "within"}),
            ("exclusive", Behaviour(selects_by="overlap"), {"into", "within", "out of"}),
            ("exclusive", Behaviour(stored_grain="rounded"), {"within"}),
            ("exclusive", Behaviour(stored_grain="floored"), {"within", "out of"}),
            ("exclusive", Behaviour(selects_by="end", stored_grain="floored"), {"into", "within"}),
            ("inclusive", Behaviour(), {"within", "out of"}),
            ("inclusive", Behaviour(stored_grain="rounded"), {"within", "out of", "after"}),
            ("inclusive", Behaviour(stored_grain="floored"), {"within", "out of", "after"}),
            ("inclusive", Behaviour(selects_by="end", stored_grain="rounded"), {"into", "within", "out of"}),
            ("inclusive_seconds", Behaviour(selects_by="end"), {"into", "within", "out of"}),
            ("inclusive_seconds", Behaviour(selects_by="overlap"), {"into", "within", "out of", "after"}),
        ],
    )
    def test_of_call_center_records(self, end_time: Any, behaviour: Behaviour, expected: set[str]) -> None:
        records = [{"callId": name, "startTime": start, "endTime": end} for name, (start, end) in self.CALLS.items()]
        with server_of("call_center", records, behaviour, end_time=end_time) as server:
            assert set(keys_of("call_center", all_records(server, "call_center", 2))) == expected
            truth = server.call_center_cdrs(START, END)
        assert truth == [records[2], records[3]]  # as they are, whatever is selected

    @pytest.mark.parametrize("selects_by", ["end", "overlap"])
    def test_fills_the_day_before(self, selects_by: Any) -> None:
        with Emulator(call_center_per_day=50, behaviour=Behaviour(selects_by=selects_by)) as server:
            found = all_records(server, "call_center", 100)
        assert any(record["startTime"] < START * 1000 <= record["endTime"] for record in found)

    def test_a_did_record_on_two_dates(self) -> None:
        times = [
            ("2023-06-30 23:59:00", "2023-07-01 00:00:00"),
            ("2023-07-01 10:00:00", "2023-07-01 10:00:01"),
            ("2023-07-01 23:59:00", "2023-07-02 00:01:00"),
        ]
        records = [{"id": n, "startTime": start, "endTime": end} for n, (start, end) in enumerate(times)]
        with server_of("did", records, did_date_of="both", order="ascending") as server:
            dates = ("2023-06-30", "2023-07-01", "2023-07-02", "2023-07-03")
            found = [keys_of("did", records_of(server, "did", date=date)) for date in dates]
        assert found == [[0], [0, 1, 2], [2], []]


class TestReplicas:
    @each_endpoint
    def test_answer_in_turn(self, endpoint: str) -> None:
        records = records_of_day(endpoint, 30)
        late = keys_of(endpoint, records)[5:7]
        with server_of(endpoint, records, Behaviour(replicas=3, lagging=late)) as server:
            found = [page_of(server, endpoint, 1, 100) for _ in range(6)]
            truth = server.call_center_cdrs if endpoint == "call_center" else server.did_cdrs
            assert truth(START, END) == records
        whole = keys_of(endpoint, records[::-1])
        behind = [key for key in whole if key not in late]
        assert found == [whole, behind, behind] * 2

    def test_count_what_they_hold(self) -> None:
        records = records_of_day("did", 30)
        with server_of("did", records, Behaviour(replicas=2, lagging=[records[0]["id"]])) as server:
            assert [did_data(server)["totalRow"] for _ in range(4)] == [30, 29, 30, 29]


class TestFaultsThatLast:
    @each_endpoint
    def test_outage(self, endpoint: str) -> None:
        with server_of(endpoint, records_of_day(endpoint, 30)) as server:
            server.add_fault(Fault("outage", endpoint=endpoint, page=2, seconds=0.5))
            assert len(page_of(server, endpoint, 1, 10)) == 10
            assert [page_of(server, endpoint, page, 10) for page in (2, 1, 3)] == [[], [], []]
            if endpoint == "did":
                assert (did_data(server)["totalRow"], did_data(server)["totalPage"]) == (0, 0)
            wait_until(lambda: page_of(server, endpoint, 1, 10) != [])
            assert len(page_of(server, endpoint, 2, 10)) == 10

    @each_endpoint
    def test_cached(self, endpoint: str) -> None:
        records = records_of_day(endpoint, 30)
        with server_of(endpoint, records[:-1]) as server:
            server.add_fault(Fault("cached", page=1, times=None))
            first = send(server, endpoint).content
            tenth = page_of(server, endpoint, 1, 10)
            server.insert(endpoint, records[-1])
            assert send(server, endpoint).content == first
            assert page_of(server, endpoint, 1, 10) == tenth
            assert page_of(server, endpoint, 1, 11)[0] == records[-1][KEYS[endpoint]]
            assert page_of(server, endpoint, 2, 10)[0] == tenth[-1]
            assert page_of(server, endpoint, 1, 10, **OTHER_DAY[endpoint]) == []

    @each_endpoint
    def test_a_page_that_always_holds_the_rows_of_another(self, endpoint: str) -> None:
        with server_of(endpoint, records_of_day(endpoint, 40)) as server:
            server.add_fault(Fault("serve_page", page=3, other_page=2, times=None))
            pages = [[page_of(server, endpoint, number, 10) for number in (1, 2, 3, 4)] for _ in range(3)]
        assert pages[0] == pages[1] == pages[2]
        assert pages[0][1] == pages[0][2]
        assert len({key for page in pages[0] for key in page}) == 30

    def test_a_total_that_stays_as_it_was(self) -> None:
        records = records_of_day("did", 30)
        with server_of("did", records[:20]) as server:
            server.add_fault(Fault("stale_total", times=None))
            assert did_data(server, type=0)["totalRow"] < did_data(server)["totalRow"] == 20
            for record in records[20:]:
                server.insert("did", record)
            data = did_data(server, pageSize=8, page=4)
        assert (data["totalRow"], data["totalPage"], len(data["list"])) == (20, 3, 6)

    def test_a_total_of_ones_own(self) -> None:
        with server_of("did", records_of_day("did", 30)) as server:
            server.add_fault(Fault("stale_total", total=16, times=None))
            data = did_data(server, pageSize=8, page=3)
        assert (data["totalRow"], data["totalPage"], len(data["list"])) == (16, 2, 8)

    def test_by_a_control_request(self) -> None:
        with server_of("did", records_of_day("did", 30)) as server:
            fault = {"kind": "stale_total", "total": 7, "times": None}
            assert requests.post(f"{server.url}/_emulator/faults", json=[fault], timeout=5).status_code == 200
            assert did_data(server)["totalRow"] == 7
            assert server.statistics()["requests"] == 1


class TestCommand:
    def test_takes_each_simple_behaviour(self) -> None:
        from tests.emulator.__main__ import _emulator, _parser

        options = "--did-per-day 60 --row-ceiling 25 --ceiling-in-total --without-key --order none --did-date-of both"
        with _emulator(_parser().parse_args(options.split())) as server:
            data = did_data(server)
        assert data["totalRow"] == len(data["list"]) == 25
        assert "id" not in data["list"][0]
