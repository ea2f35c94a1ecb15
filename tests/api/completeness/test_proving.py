"""Completeness: whatever the server does between two pages, all records or a failure."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_nxcloud.api.completeness import by_pages
from airflow_provider_nxcloud.api.completeness.fetching import REQUESTS_PER_PAGE, SPARE_REQUESTS
from airflow_provider_nxcloud.api.completeness.proving import MAX_READINGS, Consistency
from airflow_provider_nxcloud.api.endpoints import CALL_CENTER_CDR, DID_CDR, Endpoint
from airflow_provider_nxcloud.api.errors import NXCloudIncompleteResultError, NXCloudUnexpectedResponseError
from tests.api.conftest import (
    KEY_FIELDS,
    NAMES,
    Ear,
    Record,
    StartEmulator,
    assert_right,
    assert_right_or_red,
    each_concurrency,
    each_consistency,
    each_kind,
    extract,
    extraction_of,
    lines_for,
    lines_of,
    records_of_day,
    server_of,
    server_records,
)
from tests.conftest import DAY_END, DAY_START
from tests.emulator import Behaviour, Emulator, Fault

PAGE = 100
#: Page numbers of a result of 350 records, 100 a page.
FIRST, MIDDLE, LAST = 1, 2, 4
#: Requests that a window of 350 records may cost in the worst case.
MOST_REQUESTS = SPARE_REQUESTS + REQUESTS_PER_PAGE * 4 + 8


def newer(endpoint: Endpoint, number: int = 0) -> Record:
    """Return a record that stands in front of the others, newest first as they are."""
    record = dict(records_of_day(endpoint, 3)[-1])
    record[KEY_FIELDS[endpoint]] = f"new {number}"
    return record


def assert_incomplete(
    server: Emulator,
    endpoint: Endpoint,
    match: str | None = None,
    *,
    most_requests: int = MOST_REQUESTS,
    **options: Any,
) -> None:
    with (
        extraction_of(server, endpoint, page_size=PAGE, **options) as extraction,
        pytest.raises(NXCloudIncompleteResultError, match=match) as caught,
    ):
        list(extraction.blocks())
    assert caught.value.endpoint == endpoint.kind
    assert extraction.records == 0
    assert len(server.requests) <= most_requests


class TestOneDisturbance:
    """One that passes is made good: what is in doubt is read again, by other edges."""

    @each_kind
    @each_concurrency
    @each_consistency
    @pytest.mark.parametrize(
        "fault",
        [
            Fault("serve_page", page=2, other_page=1),
            Fault("serve_page", page=3, other_page=1),
            Fault("serve_page", page=2, other_page=3),
            Fault("short_page", page=1, records=1),
            Fault("short_page", page=2, records=1),
            Fault("short_page", page=2, records=100),
            Fault("short_page", page=4, records=1),
        ],
        ids=repr,
    )
    def test_of_the_answers(
        self,
        emulator: StartEmulator,
        endpoint: Endpoint,
        max_concurrency: int,
        consistency: Consistency,
        fault: Fault,
    ) -> None:
        server = server_of(emulator, endpoint, 350)
        server.add_fault(fault)
        assert_right(server, endpoint, page_size=PAGE, max_concurrency=max_concurrency, consistency=consistency)

    @each_kind
    @each_concurrency
    @pytest.mark.parametrize("order", ["ascending", "descending"])
    @pytest.mark.parametrize("page", [FIRST, MIDDLE, LAST, LAST + 1])
    def test_by_a_new_record(
        self, emulator: StartEmulator, endpoint: Endpoint, max_concurrency: int, order: str, page: int
    ) -> None:
        server = server_of(emulator, endpoint, 350, order=order)
        server.add_fault(Fault("insert", page=page, record=newer(endpoint)))
        before = server_records(server, endpoint)
        lines = extract(server, endpoint, page_size=PAGE, max_concurrency=max_concurrency)
        assert {*before} <= {*lines} <= {*server_records(server, endpoint)}
        assert len(lines) == len({*lines})

    @each_concurrency
    @each_consistency
    @pytest.mark.parametrize("page", [FIRST, MIDDLE, LAST])
    def test_by_a_did_record_that_goes(
        self, emulator: StartEmulator, max_concurrency: int, consistency: Consistency, page: int
    ) -> None:
        server = server_of(emulator, DID_CDR, 350)
        server.add_fault(Fault("remove", page=page))
        assert_right(server, DID_CDR, page_size=PAGE, max_concurrency=max_concurrency, consistency=consistency)

    @each_concurrency
    @pytest.mark.parametrize("page", [FIRST, MIDDLE, LAST])
    def test_by_a_call_center_record_that_goes_where_each_window_is_read_both_ways(
        self, emulator: StartEmulator, max_concurrency: int, page: int
    ) -> None:
        server = server_of(emulator, CALL_CENTER_CDR, 350)
        server.add_fault(Fault("remove", page=page))
        assert_right(server, CALL_CENTER_CDR, max_concurrency=max_concurrency, consistency="double")

    @pytest.mark.parametrize("page", [FIRST, MIDDLE, LAST, LAST + 1])
    @pytest.mark.parametrize("records", [-1, 1, 1000])
    def test_of_the_total(self, emulator: StartEmulator, page: int, records: int) -> None:
        server = server_of(emulator, DID_CDR, 350)
        server.add_fault(Fault("total", page=page, records=records))
        assert_right(server, DID_CDR, page_size=PAGE)

    def test_a_total_that_is_a_full_page_too_small(self, emulator: StartEmulator) -> None:
        """Two full pages, and a total of as many: the page after them holds more."""
        server = server_of(emulator, DID_CDR, 250)
        server.add_fault(Fault("stale_total", total=200, times=None))
        assert_right_or_red(server, DID_CDR, page_size=PAGE)

    @each_kind
    @each_consistency
    def test_of_the_only_page(self, emulator: StartEmulator, endpoint: Endpoint, consistency: Consistency) -> None:
        server = server_of(emulator, endpoint, 50)
        server.add_fault(Fault("short_page", page=1))
        assert_right(server, endpoint, consistency=consistency)

    def test_a_record_put_in_between_pages_that_are_read_out_of_order(self, emulator: StartEmulator) -> None:
        server = server_of(emulator, CALL_CENTER_CDR, 346)
        newest_first = sorted(server.call_center_cdrs(DAY_START, DAY_END), key=lambda call: -call["startTime"])
        late = {**newest_first[195], "callId": "late"}
        # The page is asked for twice; meanwhile the others are read, up to the last one.
        server.add_fault(Fault("latency", page=20, seconds=0.3))
        server.add_fault(Fault("status", page=20, status=503))
        server.add_fault(Fault("insert", page=20, after=1, record=late))
        assert_right(server, CALL_CENTER_CDR, page_size=10)
        assert len(server.call_center_cdrs(DAY_START, DAY_END)) == 347

    def test_is_said(self, emulator: StartEmulator, logs: Ear) -> None:
        server = server_of(emulator, CALL_CENTER_CDR, 350)
        server.add_fault(Fault("short_page", page=1))
        extract(server, CALL_CENTER_CDR)
        assert logs.heard(f"again (2 of {MAX_READINGS}): ") == 1

    def test_costs_its_own_window_only(self, emulator: StartEmulator) -> None:
        server = emulator(call_center_per_day=350)
        window = timedelta(hours=2)
        extract(server, CALL_CENTER_CDR, window=window)
        calm = len(server.requests)
        server.add_fault(Fault("serve_page", page=2, other_page=1, after=4))
        assert_right(server, CALL_CENTER_CDR, window=window)
        assert len(server.requests) - calm <= calm + 25


class TestWithoutEnd:
    """A disturbance that does not pass fails the task, after a bounded number of requests, or is circumvented."""

    @each_kind
    @each_consistency
    @pytest.mark.parametrize("count", [50, 350])
    def test_a_server_that_ignores_the_page_number(
        self, emulator: StartEmulator, endpoint: Endpoint, count: int, consistency: Consistency
    ) -> None:
        server = server_of(emulator, endpoint, count)
        server.add_fault(Fault("serve_page", times=None))
        assert_right_or_red(server, endpoint, page_size=PAGE, consistency=consistency)
        assert len(server.requests) <= MOST_REQUESTS

    @each_kind
    @pytest.mark.parametrize("page", [FIRST, MIDDLE])
    def test_a_page_that_stays_short(self, emulator: StartEmulator, endpoint: Endpoint, page: int) -> None:
        server = server_of(emulator, endpoint, 350)
        server.add_fault(Fault("short_page", page=page, times=None))
        assert_right_or_red(server, endpoint, page_size=PAGE)
        assert len(server.requests) <= MOST_REQUESTS

    @pytest.mark.parametrize("page", [None, MIDDLE, LAST])
    @pytest.mark.parametrize("records", [-1, 1, 100])
    def test_a_total_that_stays_wrong(self, emulator: StartEmulator, page: int | None, records: int) -> None:
        server = server_of(emulator, DID_CDR, 350)
        server.add_fault(Fault("total", page=page, records=records, times=None))
        assert_incomplete(server, DID_CDR, "where the total leaves|the total changed")

    @each_kind
    @each_consistency
    def test_records_that_never_rest(
        self, emulator: StartEmulator, endpoint: Endpoint, consistency: Consistency
    ) -> None:
        server = server_of(emulator, endpoint, 350)
        for number in range(MOST_REQUESTS):
            server.add_fault(Fault("insert", after=number, record=newer(endpoint, number)))
        # The window grows by a record with each request.
        assert_incomplete(server, endpoint, most_requests=2 * MOST_REQUESTS, consistency=consistency)

    @each_kind
    def test_pages_with_more_records_than_asked_for(self, emulator: StartEmulator, endpoint: Endpoint) -> None:
        records = records_of_day(endpoint, 101)
        payload = records if endpoint is CALL_CENTER_CDR else {"totalRow": 101, "totalPage": 1, "list": records}
        server = emulator()
        server.add_fault(Fault("data", page=1, payload=payload, times=None))
        with pytest.raises(NXCloudUnexpectedResponseError, match="Page 1 holds 101 records, more than the"):
            extract(server, endpoint, page_size=PAGE)

    def test_pages_without_end(self, emulator: StartEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(by_pages, "MAX_PAGES", 20)
        server = server_of(emulator, CALL_CENTER_CDR, 50)
        assert_right_or_red(server, CALL_CENTER_CDR, page_size=1)
        assert len(server.requests) <= SPARE_REQUESTS + REQUESTS_PER_PAGE * 51 + 8

    def test_says_rows_and_different_records_and_what_to_do(self, emulator: StartEmulator) -> None:
        server = server_of(emulator, DID_CDR, 4)
        records = records_of_day(DID_CDR, 3)
        for page in (1, 2):  # of whatever size, and by whatever filter
            payload = {"totalRow": 4, "totalPage": 2, "list": records[:2]}
            server.add_fault(Fault("data", page=page, payload=payload, times=None))
        with pytest.raises(NXCloudIncompleteResultError) as caught:
            extract(server, DID_CDR, page_size=2)
        message = str(caught.value)
        assert f"{MAX_READINGS} readings of [2026-03-16T16:00:00Z, 2026-03-17T16:00:00Z)" in message
        assert all(f"({number}) " in message for number in range(1, MAX_READINGS + 1))
        assert "run the task later" in message


class TestWhatOneReadingCannotShow:
    """The limits that the documentation names, and that ``consistency="double"`` is for."""

    def test_a_call_center_record_that_goes_from_a_page_already_read(self, emulator: StartEmulator) -> None:
        server = server_of(emulator, CALL_CENTER_CDR, 350)
        server.add_fault(Fault("remove", page=LAST))
        lines = extract(server, CALL_CENTER_CDR, max_concurrency=1)
        assert len({*server_records(server, CALL_CENTER_CDR)} - {*lines}) <= 1

    def test_a_did_record_that_goes_while_another_comes(self, emulator: StartEmulator) -> None:
        server = server_of(emulator, DID_CDR, 350)
        oldest = {"id": "new", "startTime": "2026-03-17 00:00:00", "endTime": "2026-03-17 00:00:01"}
        server.add_fault(Fault("remove", page=LAST))
        server.add_fault(Fault("insert", page=LAST, record=oldest))
        lines = extract(server, DID_CDR, page_size=PAGE, max_concurrency=1)
        assert len({*server_records(server, DID_CDR)} - {*lines}) <= 1


class TestRepeatedKeys:
    def records(self, endpoint: Endpoint, count: int = 150) -> list[Record]:
        return [dict(record) for record in records_of_day(endpoint, count)]

    @each_kind
    @each_consistency
    def test_identical_records_are_written_once_and_counted(
        self, emulator: StartEmulator, endpoint: Endpoint, consistency: Consistency
    ) -> None:
        records = self.records(endpoint)
        server = emulator(**{NAMES[endpoint]: [*records, records[7], records[7], records[99]]})
        with extraction_of(server, endpoint, page_size=PAGE, consistency=consistency) as extraction:
            assert lines_of(extraction) == lines_for(server, endpoint, records)
        assert extraction.duplicates == 3

    @each_kind
    @each_consistency
    def test_legs_of_a_transfer_are_all_kept_and_warned_about(
        self, emulator: StartEmulator, endpoint: Endpoint, consistency: Consistency, logs: Ear
    ) -> None:
        records = self.records(endpoint)
        records += [{**records[7], "callDuration": 12_345}, {**records[99], "callDuration": 54_321}]
        server = emulator(**{NAMES[endpoint]: records})
        with extraction_of(server, endpoint, page_size=PAGE, consistency=consistency) as extraction:
            assert lines_of(extraction) == lines_for(server, endpoint, records)
        assert extraction.duplicates == 0
        assert logs.heard(f"2 keys of {endpoint.kind} stand on more than one record that differ: all are kept") >= 1

    @each_kind
    def test_legs_that_start_at_different_times_are_different_records(
        self, emulator: StartEmulator, endpoint: Endpoint
    ) -> None:
        records = self.records(endpoint)
        name = KEY_FIELDS[endpoint]
        records[99][name] = records[7][name]
        server = emulator(**{NAMES[endpoint]: records})
        with extraction_of(server, endpoint) as extraction:
            assert lines_of(extraction) == lines_for(server, endpoint, records)
        assert extraction.duplicates == 0

    @each_kind
    def test_both_at_once(self, emulator: StartEmulator, endpoint: Endpoint) -> None:
        records = self.records(endpoint)
        other = {**records[7], "callDuration": 12_345}
        server = emulator(**{NAMES[endpoint]: [*records, records[7], other, other]})
        with extraction_of(server, endpoint, page_size=PAGE) as extraction:
            assert lines_of(extraction) == lines_for(server, endpoint, [*records, other])
        assert extraction.duplicates == 2

    @each_kind
    @each_consistency
    @pytest.mark.parametrize("key", [None, "", ...])
    def test_records_without_a_key_are_never_merged(
        self, emulator: StartEmulator, endpoint: Endpoint, consistency: Consistency, key: Any
    ) -> None:
        name = KEY_FIELDS[endpoint]
        records = self.records(endpoint)
        for record in records:
            record[name] = key
            if key is ...:
                del record[name]
        records = [*records, records[7], records[7], records[99]]
        server = emulator(**{NAMES[endpoint]: records})
        with extraction_of(server, endpoint, page_size=PAGE, consistency=consistency) as extraction:
            assert lines_of(extraction) == lines_for(server, endpoint, records)
        assert extraction.duplicates == 0

    @each_kind
    def test_a_record_without_a_key_may_be_the_double_of_none(
        self, emulator: StartEmulator, endpoint: Endpoint
    ) -> None:
        """Neither where another key makes the window be read again."""
        records = self.records(endpoint)
        keyless = {name: value for name, value in records[3].items() if name != KEY_FIELDS[endpoint]}
        server = emulator(**{NAMES[endpoint]: [*records, records[7], keyless, keyless]})
        with extraction_of(server, endpoint, page_size=PAGE) as extraction:
            assert lines_of(extraction) == lines_for(server, endpoint, [*records, keyless, keyless])
        assert extraction.duplicates == 1

    @each_kind
    @each_consistency
    def test_doubles_among_ties(self, emulator: StartEmulator, endpoint: Endpoint, consistency: Consistency) -> None:
        """All at one moment, in another order on each page: the doubles seldom stand side by side."""
        record = self.records(endpoint, 1)[0]
        records = [{**record, KEY_FIELDS[endpoint]: f"call {number}"} for number in range(120)]
        doubled = [*records, records[7], records[99]]
        server = emulator(**{NAMES[endpoint]: doubled}, behaviour=Behaviour(ties="by_query"))
        with extraction_of(server, endpoint, page_size=50, consistency=consistency) as extraction:
            try:
                lines = lines_of(extraction)
            except NXCloudIncompleteResultError:
                return
        assert lines == lines_for(server, endpoint, records)
        assert extraction.duplicates == 2

    def test_a_number_and_a_text_are_different_keys(self, emulator: StartEmulator) -> None:
        records = [
            {"id": key, "startTime": "2026-03-17 00:00:00", "endTime": "2026-03-17 00:00:01"} for key in (1, "1")
        ]
        assert len(extract(emulator(did=records), DID_CDR)) == 2

    def test_keys_of_one_hash_are_different_keys(self, emulator: StartEmulator) -> None:
        """Python gives -1 and -2 one hash: the window is read again, in vain, and both are kept."""
        records = [
            {"id": key, "startTime": "2026-03-17 00:00:00", "endTime": "2026-03-17 00:00:01"} for key in (-1, -2)
        ]
        with extraction_of(emulator(did=records), DID_CDR) as extraction:
            assert len(lines_of(extraction)) == 2
        assert extraction.duplicates == 0


class TestCost:
    """What a calm window costs."""

    @each_concurrency
    @pytest.mark.parametrize("order", ["descending", "ascending"])
    @pytest.mark.parametrize("count", [1, 99, 100, 101, 250, 1000, 1730])
    def test_of_a_call_center_window(
        self, emulator: StartEmulator, count: int, order: str, max_concurrency: int
    ) -> None:
        server = server_of(emulator, CALL_CENTER_CDR, count, order=order)
        extract(server, CALL_CENTER_CDR, max_concurrency=max_concurrency)
        assert len(server.requests) <= -(-count // PAGE) + max_concurrency + 5
        assert self.readings(server) == 1

    @pytest.mark.parametrize(
        ("endpoint", "count", "requests"),
        [
            (CALL_CENTER_CDR, 0, 3),  # or fewer: the second page is asked for with the first one, or not at all
            (CALL_CENTER_CDR, 50, 6),
            (DID_CDR, 0, 3),
            (DID_CDR, 50, 1 + 1),
            (DID_CDR, 2345, 3 + 1),
            (DID_CDR, 1998, 2 + 2),  # a full last page is confirmed by another size
        ],
    )
    def test_of_a_small_window(self, emulator: StartEmulator, endpoint: Endpoint, count: int, requests: int) -> None:
        server = server_of(emulator, endpoint, count)
        extract(server, endpoint)
        assert len(server.requests) <= requests
        assert self.readings(server) == 1

    @each_kind
    def test_double_reads_each_window_both_ways(self, emulator: StartEmulator, endpoint: Endpoint) -> None:
        server = server_of(emulator, endpoint, 250)
        with extraction_of(server, endpoint, page_size=PAGE, consistency="double") as extraction:
            assert lines_of(extraction) == server_records(server, endpoint)
        queries = {tuple(self.query_of(request.body).items()) for request in server.requests}
        assert len(queries) >= 2
        assert extraction.pages >= 2 * 3

    def test_of_an_empty_window_is_one_pause(self, emulator: StartEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
        pauses: list[float] = []
        sleep = "airflow_provider_nxcloud.api.throttle.Throttle.sleep"
        monkeypatch.setattr(sleep, lambda _, seconds: pauses.append(seconds))
        extract(emulator(), CALL_CENTER_CDR)
        assert len(pauses) == 1

    @staticmethod
    def query_of(body: Record | None) -> Record:
        return {name: value for name, value in (body or {}).items() if name != "page"}

    def readings(self, server: Emulator) -> int:
        """Return how often the first page of the whole window was asked for, by the largest size."""
        queries = [request.body for request in server.requests if request.page == 1]
        return queries.count(queries[0])
