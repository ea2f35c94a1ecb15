"""Completeness: whatever the server does between two pages, all records or a failure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_nxcloud.api import scanning
from airflow_provider_nxcloud.api.endpoints import CALL_CENTER_CDR, DID_CDR, Endpoint
from airflow_provider_nxcloud.api.errors import NXCloudIncompleteResultError
from airflow_provider_nxcloud.api.scanning import MAX_SCANS, Consistency
from tests.api.conftest import (
    NAMES,
    Ear,
    Record,
    each_kind,
    extract,
    extraction_of,
    lines_for,
    lines_of,
    records_of_day,
    server_records,
)
from tests.conftest import DAY_END, DAY_START
from tests.emulator import Emulator, Fault

StartEmulator = Callable[..., Emulator]

PAGE = 100
#: Page numbers of a result of 350 records, 100 a page.
FIRST, MIDDLE, LAST = 1, 2, 4

each_concurrency = pytest.mark.parametrize("max_concurrency", [1, 8])
each_consistency = pytest.mark.parametrize("consistency", ["single", "double"])


def server_of(emulator: StartEmulator, endpoint: Endpoint, count: int = 350, **options: Any) -> Emulator:
    return emulator(**{NAMES[endpoint]: records_of_day(endpoint, count)}, **options)


def newer(endpoint: Endpoint, number: int = 0) -> Record:
    """Return a record that stands in front of the others, newest first as they are."""
    record = dict(records_of_day(endpoint, 3)[-1])
    record["callId" if endpoint is CALL_CENTER_CDR else "id"] = f"new {number}"
    return record


def assert_incomplete(server: Emulator, endpoint: Endpoint, max_requests: int, **options: Any) -> None:
    with (
        extraction_of(server, endpoint, page_size=PAGE, **options) as extraction,
        pytest.raises(NXCloudIncompleteResultError) as caught,
    ):
        list(extraction.blocks())
    assert caught.value.endpoint == endpoint.kind
    assert f"{MAX_SCANS} scans" in str(caught.value)
    assert extraction.records == 0
    assert len(server.requests) <= MAX_SCANS * max_requests


class TestOneDisturbance:
    """One that passes is made good: the window is read again, until two readings agree."""

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
        server = server_of(emulator, endpoint)
        server.add_fault(fault)
        lines = extract(server, endpoint, page_size=PAGE, max_concurrency=max_concurrency, consistency=consistency)
        assert lines == server_records(server, endpoint)

    @each_kind
    @each_concurrency
    @pytest.mark.parametrize("order", ["ascending", "descending"])
    @pytest.mark.parametrize("page", [MIDDLE, LAST])
    def test_by_a_new_record(
        self, emulator: StartEmulator, endpoint: Endpoint, max_concurrency: int, order: str, page: int
    ) -> None:
        server = server_of(emulator, endpoint, order=order)
        server.add_fault(Fault("insert", page=page, record=newer(endpoint)))
        lines = extract(server, endpoint, page_size=PAGE, max_concurrency=max_concurrency)
        assert len(lines) == 351
        assert lines == server_records(server, endpoint)

    @each_concurrency
    @each_consistency
    @pytest.mark.parametrize("page", [FIRST, MIDDLE, LAST])
    def test_by_a_did_record_that_goes(
        self, emulator: StartEmulator, max_concurrency: int, consistency: Consistency, page: int
    ) -> None:
        server = server_of(emulator, DID_CDR)
        server.add_fault(Fault("remove", page=page))
        lines = extract(server, DID_CDR, page_size=PAGE, max_concurrency=max_concurrency, consistency=consistency)
        assert len(lines) == 349
        assert lines == server_records(server, DID_CDR)

    @each_concurrency
    @pytest.mark.parametrize("page", [FIRST, MIDDLE, LAST])
    def test_by_a_call_center_record_that_goes_where_each_window_is_read_twice(
        self, emulator: StartEmulator, max_concurrency: int, page: int
    ) -> None:
        server = server_of(emulator, CALL_CENTER_CDR)
        server.add_fault(Fault("remove", page=page))
        lines = extract(server, CALL_CENTER_CDR, page_size=PAGE, max_concurrency=max_concurrency, consistency="double")
        assert len(lines) == 349
        assert lines == server_records(server, CALL_CENTER_CDR)

    @pytest.mark.parametrize("page", [FIRST, MIDDLE, LAST])
    @pytest.mark.parametrize("records", [-1, 1, 1000])
    def test_of_the_total(self, emulator: StartEmulator, page: int, records: int) -> None:
        server = server_of(emulator, DID_CDR)
        server.add_fault(Fault("total", page=page, records=records))
        assert extract(server, DID_CDR, page_size=PAGE) == server_records(server, DID_CDR)

    @each_consistency
    @pytest.mark.parametrize("count", [50, 350])
    def test_of_the_last_did_page(self, emulator: StartEmulator, consistency: Consistency, count: int) -> None:
        server = server_of(emulator, DID_CDR, count)
        server.add_fault(Fault("short_page", page=-(-count // PAGE)))
        lines = extract(server, DID_CDR, page_size=PAGE, consistency=consistency)
        assert lines == server_records(server, DID_CDR)

    @pytest.mark.parametrize("count", [50, 350])
    def test_of_the_last_call_center_page_where_each_window_is_read_twice(
        self, emulator: StartEmulator, count: int
    ) -> None:
        server = server_of(emulator, CALL_CENTER_CDR, count)
        server.add_fault(Fault("short_page", page=-(-count // PAGE)))
        lines = extract(server, CALL_CENTER_CDR, consistency="double")
        assert lines == server_records(server, CALL_CENTER_CDR)

    def test_of_an_empty_first_page(self, emulator: StartEmulator) -> None:
        """An empty page is no proof of an end: the page after it is read, and says otherwise."""
        server = server_of(emulator, CALL_CENTER_CDR)
        server.add_fault(Fault("data", page=1, payload=[]))
        assert extract(server, CALL_CENTER_CDR) == server_records(server, CALL_CENTER_CDR)

    def test_is_said(self, emulator: StartEmulator, logs: Ear) -> None:
        server = server_of(emulator, DID_CDR)
        server.add_fault(Fault("total", page=2))
        extract(server, DID_CDR, page_size=PAGE)
        assert logs.heard("(scan 2 of 6): the total changed from 350 to 351 at page 2") == 1
        assert logs.heard("(scan 3 of 6): scan 2 is to be confirmed") == 1

    def test_costs_its_own_window_only(self, emulator: StartEmulator) -> None:
        server = emulator(call_center_per_day=350)
        window = timedelta(hours=2)
        with extraction_of(server, CALL_CENTER_CDR, window=window) as extraction:
            lines_of(extraction)
        calm = extraction.pages
        server.add_fault(Fault("serve_page", page=2, other_page=1, after=4))
        with extraction_of(server, CALL_CENTER_CDR, window=window) as extraction:
            assert lines_of(extraction) == server_records(server, CALL_CENTER_CDR)
        assert calm < extraction.pages <= calm + 6


class TestWithoutEnd:
    """A disturbance that does not pass fails the task, after a bounded number of readings."""

    @each_kind
    @each_consistency
    def test_a_server_that_ignores_the_page_number(
        self, emulator: StartEmulator, endpoint: Endpoint, consistency: Consistency
    ) -> None:
        server = server_of(emulator, endpoint)
        server.add_fault(Fault("serve_page", times=None))
        assert_incomplete(server, endpoint, 1 + 2 * 8, consistency=consistency)

    def test_a_server_that_ignores_the_page_number_of_a_short_result(self, emulator: StartEmulator) -> None:
        server = server_of(emulator, CALL_CENTER_CDR, 50)
        server.add_fault(Fault("serve_page", times=None))
        assert_incomplete(server, CALL_CENTER_CDR, 2)

    @each_kind
    @pytest.mark.parametrize("page", [FIRST, MIDDLE])
    def test_a_page_that_stays_short(self, emulator: StartEmulator, endpoint: Endpoint, page: int) -> None:
        server = server_of(emulator, endpoint)
        server.add_fault(Fault("short_page", page=page, times=None))
        assert_incomplete(server, endpoint, 4 + 9)

    @pytest.mark.parametrize("page", [None, MIDDLE, LAST])
    @pytest.mark.parametrize("records", [-1, 1, 100])
    def test_a_total_that_stays_wrong(self, emulator: StartEmulator, page: int | None, records: int) -> None:
        server = server_of(emulator, DID_CDR)
        server.add_fault(Fault("total", page=page, records=records, times=None))
        assert_incomplete(server, DID_CDR, 6)

    @each_kind
    @each_consistency
    def test_records_that_never_rest(
        self, emulator: StartEmulator, endpoint: Endpoint, consistency: Consistency
    ) -> None:
        server = server_of(emulator, endpoint)
        for number in range(50):
            server.add_fault(Fault("insert", page=MIDDLE, after=number, record=newer(endpoint, number)))
        assert_incomplete(server, endpoint, 4 + 9, consistency=consistency)

    @each_kind
    def test_pages_with_more_records_than_asked_for(self, emulator: StartEmulator, endpoint: Endpoint) -> None:
        records = records_of_day(endpoint, 101)
        payload = records if endpoint is CALL_CENTER_CDR else {"totalRow": 101, "totalPage": 1, "list": records}
        server = emulator()
        server.add_fault(Fault("data", page=1, payload=payload, times=None))
        assert_incomplete(server, endpoint, 4)

    def test_pages_without_end(self, emulator: StartEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(scanning, "MAX_PAGES", 20)
        server = emulator()
        server.add_fault(Fault("data", payload=[{"startTime": DAY_START * 1000}], times=None))
        with pytest.raises(NXCloudIncompleteResultError, match="more than 20 pages"):
            extract(server, CALL_CENTER_CDR, page_size=1)
        assert len(server.requests) <= MAX_SCANS * (20 + 2 * 8)


class TestWhatOneReadingCannotShow:
    """The limits that the documentation names, and that ``consistency="double"`` is for."""

    def test_a_last_call_center_page_that_is_always_cut_short(self, emulator: StartEmulator) -> None:
        server = server_of(emulator, CALL_CENTER_CDR)
        server.add_fault(Fault("short_page", page=LAST, times=None))
        assert len(extract(server, CALL_CENTER_CDR)) == 349

    def test_a_call_center_record_that_goes_from_a_page_already_read(self, emulator: StartEmulator) -> None:
        server = server_of(emulator, CALL_CENTER_CDR)
        server.add_fault(Fault("remove", page=LAST))
        lines = extract(server, CALL_CENTER_CDR, max_concurrency=1)
        assert len({*server_records(server, CALL_CENTER_CDR)} - {*lines}) == 1

    def test_a_did_record_that_goes_while_another_comes(self, emulator: StartEmulator) -> None:
        server = server_of(emulator, DID_CDR)
        oldest = {"id": "new", "startTime": "2026-03-17 00:00:00", "endTime": "2026-03-17 00:00:01"}
        server.add_fault(Fault("remove", page=LAST))
        server.add_fault(Fault("insert", page=LAST, record=oldest))
        lines = extract(server, DID_CDR, page_size=PAGE, max_concurrency=1)
        assert len({*server_records(server, DID_CDR)} - {*lines}) == 1


class TestLastPageReadOnceMore:
    def test_a_last_page_cut_short_once(self, emulator: StartEmulator) -> None:
        server = server_of(emulator, CALL_CENTER_CDR)
        server.add_fault(Fault("short_page", page=LAST))
        assert extract(server, CALL_CENTER_CDR) == server_records(server, CALL_CENTER_CDR)

    def test_a_record_put_in_between_pages_that_are_read_out_of_order(self, emulator: StartEmulator) -> None:
        server = server_of(emulator, CALL_CENTER_CDR, 346)
        newest_first = sorted(server.call_center_cdrs(DAY_START, DAY_END), key=lambda call: -call["startTime"])
        late = {**newest_first[195], "callId": "late"}
        # The page is asked for twice; meanwhile the others are read, up to the last one.
        server.add_fault(Fault("latency", page=20, seconds=0.3))
        server.add_fault(Fault("status", page=20, status=503))
        server.add_fault(Fault("insert", page=20, after=1, record=late))
        assert extract(server, CALL_CENTER_CDR, page_size=10) == server_records(server, CALL_CENTER_CDR)
        assert len(server.call_center_cdrs(DAY_START, DAY_END)) == 347


class TestRepeatedKeys:
    KEYS: dict[Endpoint, str] = {CALL_CENTER_CDR: "callId", DID_CDR: "id"}  # noqa: RUF012

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
    def test_different_ones_are_all_kept_and_warned_about(
        self, emulator: StartEmulator, endpoint: Endpoint, logs: Ear
    ) -> None:
        records = self.records(endpoint)
        records += [{**records[7], "callDuration": 12_345}, {**records[99], "callDuration": 54_321}]
        server = emulator(**{NAMES[endpoint]: records})
        with extraction_of(server, endpoint, page_size=PAGE) as extraction:
            assert lines_of(extraction) == lines_for(server, endpoint, records)
        assert extraction.duplicates == 0
        assert logs.heard(f"2 keys of {endpoint.kind} stand on more than one record that differ: all are kept") == 1

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
        name = self.KEYS[endpoint]
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
        keyless = {name: value for name, value in records[3].items() if name != self.KEYS[endpoint]}
        server = emulator(**{NAMES[endpoint]: [*records, records[7], keyless, keyless]})
        with extraction_of(server, endpoint, page_size=PAGE) as extraction:
            assert lines_of(extraction) == lines_for(server, endpoint, [*records, keyless, keyless])
        assert extraction.duplicates == 1

    def test_a_number_and_a_text_are_different_keys(self, emulator: StartEmulator) -> None:
        records = [
            {"id": key, "startTime": "2026-03-17 00:00:00", "endTime": "2026-03-17 00:00:01"} for key in (1, "1")
        ]
        server = emulator(did=records)
        assert len(extract(server, DID_CDR)) == 2
        assert len(server.requests) == 1

    def test_keys_of_one_hash_are_different_keys(self, emulator: StartEmulator) -> None:
        """Python gives -1 and -2 one hash: the window is read again, in vain, and both are kept."""
        records = [
            {"id": key, "startTime": "2026-03-17 00:00:00", "endTime": "2026-03-17 00:00:01"} for key in (-1, -2)
        ]
        with extraction_of(emulator(did=records), DID_CDR) as extraction:
            assert len(lines_of(extraction)) == 2
        assert extraction.duplicates == 0


class TestNumberOfReadings:
    @each_kind
    @pytest.mark.parametrize(("consistency", "scans"), [("single", 1), ("double", 2)])
    def test_where_nothing_moves(
        self, emulator: StartEmulator, endpoint: Endpoint, consistency: Consistency, scans: int
    ) -> None:
        server = server_of(emulator, endpoint, 50)
        extract(server, endpoint, consistency=consistency)
        assert len([request for request in server.requests if request.page == 1]) == scans

    def test_two_that_agree_after_one_that_does_not(self, emulator: StartEmulator) -> None:
        server = server_of(emulator, DID_CDR)
        server.add_fault(Fault("total", page=LAST))
        extract(server, DID_CDR, page_size=PAGE)
        assert len([request for request in server.requests if request.page == 1]) == 3
