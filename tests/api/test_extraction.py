"""Intervals: every record once and as it came, whatever the server makes of the questions that its API leaves open."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_nxcloud.api import errors, extraction
from airflow_provider_nxcloud.api.completeness import keeping
from airflow_provider_nxcloud.api.completeness.proving import Consistency
from airflow_provider_nxcloud.api.endpoints import CALL_CENTER_CDR, DID_CDR, Endpoint
from airflow_provider_nxcloud.api.extraction import Extraction
from tests.api.conftest import (
    NAMES,
    Ear,
    client_of,
    each_kind,
    examples,
    extract,
    extraction_of,
    lines_for,
    lines_of,
    records_of_day,
    server_records,
    worker_threads,
)
from tests.conftest import DAY_END, DAY_START, ZONE, wait_until
from tests.emulator import Emulator, Fault

StartEmulator = Callable[..., Emulator]

COUNTS = (0, 1, 99, 100, 101, 998, 999, 1000, 2345)
HOUR = timedelta(hours=1)

orders = st.sampled_from(["ascending", "descending"])
end_times = st.sampled_from(["exclusive", "inclusive", "inclusive_seconds"])


class TestArguments:
    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({"start": 5, "end": 5}, "the interval's end, 5, must be after its start, 5"),
            ({"start": 6, "end": 5}, "must be after"),
            ({"page_size": 0}, "page_size must be between 1 and 100, not 0"),
            ({"page_size": 101}, "page_size must be between 1 and 100, not 101"),
            ({"window": timedelta(0)}, "window must be at least one second"),
            ({"window": timedelta(seconds=-5)}, "window must be at least one second"),
            ({"consistency": "triple"}, "consistency must be one of single, double, not 'triple'"),
            ({"filters": {"colour": "red"}}, "has no filter 'colour'"),
        ],
    )
    def test_are_checked_before_the_first_request(
        self, emulator: StartEmulator, options: dict[str, Any], expected: str
    ) -> None:
        server = emulator()
        arguments = {"start": DAY_START, "end": DAY_END, "timezone": ZONE, **options}
        with pytest.raises(ValueError, match=expected):
            Extraction(client_of(server), CALL_CENTER_CDR, **arguments)
        assert server.requests == []


class TestAllRecords:
    @each_kind
    @pytest.mark.parametrize("count", COUNTS)
    def test_of_a_day(self, emulator: StartEmulator, endpoint: Endpoint, count: int) -> None:
        server = emulator(**{NAMES[endpoint]: records_of_day(endpoint, count)})
        with extraction_of(server, endpoint) as extraction:
            assert lines_of(extraction) == server_records(server, endpoint)
        pages = -(-count // endpoint.max_page_size)
        assert extraction.records == count
        assert extraction.duplicates == extraction.retries == 0
        wait_until(lambda: extraction.requests == len(server.requests))
        assert extraction.pages <= extraction.requests
        assert server.max_in_flight <= 8
        assert extraction.requests <= max(1, pages) + 8 + 5

    @each_kind
    @examples(30)
    @given(
        count=st.sampled_from((0, 1, 29, 30, 60, 300)),
        order=orders,
        end_time=end_times,
        page_size=st.integers(1, 100),
        max_concurrency=st.integers(1, 8),
        window=st.none() | st.integers(14_400, 100_000).map(lambda seconds: timedelta(seconds=seconds)),
        pretty=st.booleans(),
        consistency=st.sampled_from(["single", "single", "double"]),
    )
    def test_whatever_the_server_does_and_however_it_is_asked(
        self,
        endpoint: Endpoint,
        count: int,
        order: Any,
        end_time: Any,
        page_size: int,
        max_concurrency: int,
        window: timedelta | None,
        pretty: bool,
        consistency: Consistency,
    ) -> None:
        page_size = max(page_size, count // 20, 1)
        options: dict[str, Any] = {NAMES[endpoint]: records_of_day(endpoint, count)}
        with Emulator(order=order, end_time=end_time, pretty=pretty, **options) as server:
            with extraction_of(
                server,
                endpoint,
                page_size=page_size,
                max_concurrency=max_concurrency,
                window=window,
                consistency=consistency,
            ) as extraction:
                assert lines_of(extraction) == server_records(server, endpoint)
            assert server.max_in_flight <= max_concurrency

    @each_kind
    def test_one_by_one(self, emulator: StartEmulator, endpoint: Endpoint) -> None:
        server = emulator(**{NAMES[endpoint]: records_of_day(endpoint, 30)})
        assert extract(server, endpoint, page_size=1) == server_records(server, endpoint)

    @each_kind
    def test_of_several_days_through_hiccups(self, emulator: StartEmulator, endpoint: Endpoint) -> None:
        server = emulator(call_center_per_day=230, did_per_day=1200)
        for number, kind in enumerate(("status", "reset", "not_json", "truncate", "close", "rate_limit", "error_code")):
            code = 99 if endpoint is CALL_CENTER_CDR else -1
            server.add_fault(Fault(kind, after=number * 3, code=code))  # type: ignore[arg-type]
        interval = (DAY_START - 3 * 86_400 + 5000, DAY_END + 7)
        with extraction_of(server, endpoint, *interval, window=7 * HOUR) as extraction:
            assert lines_of(extraction) == server_records(server, endpoint, *interval)
        assert extraction.retries >= 1
        wait_until(lambda: extraction.requests == len(server.requests))

    def test_through_filters(self, emulator: StartEmulator) -> None:
        server = emulator(call_center_per_day=300, did_per_day=300)
        calls = server.call_center_cdrs(DAY_START, DAY_END)
        incoming = [call for call in calls if call["direction"] == 0 and call["answered"]]
        filters = {"direction": "incoming", "answered": "answered"}
        assert extract(server, CALL_CENTER_CDR, filters=filters) == lines_for(server, CALL_CENTER_CDR, incoming)
        calls = server.did_cdrs(DAY_START, DAY_END)
        outgoing = [call for call in calls if call["callType"] == 1]
        assert extract(server, DID_CDR, filters={"call_type": "outgoing"}) == lines_for(server, DID_CDR, outgoing)

    def test_in_blocks_of_bounded_size(self, emulator: StartEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(keeping, "BLOCK_BYTES", 10_000)
        server = emulator(call_center_per_day=300)
        with extraction_of(server, CALL_CENTER_CDR) as extraction:
            blocks = list(extraction.blocks())
        assert len(blocks) > 10
        assert all(len(block) < 20_000 and block.endswith(b"\n") for block in blocks)

    @each_kind
    def test_through_temporary_files_without_a_name(
        self, emulator: StartEmulator, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(keeping, "SPOOL_MEMORY_BYTES", 1)
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        server = emulator(call_center_per_day=300, did_per_day=300)
        with extraction_of(server, endpoint, consistency="double", window=HOUR) as extraction:
            assert lines_of(extraction) == server_records(server, endpoint)
        assert list(tmp_path.iterdir()) == []


class TestTiling:
    """However an interval is cut into pieces, their records are the interval's: none missing, none doubled."""

    def in_pieces(self, server: Emulator, endpoint: Endpoint, edges: list[int], **options: Any) -> list[bytes]:
        lines: list[bytes] = []
        for start, end in pairwise(edges):
            lines += extract(server, endpoint, start, end, max_concurrency=2, **options)
        return sorted(lines)

    @examples(30)
    @given(
        offsets=st.lists(
            st.builds(lambda second, ms: second * 1000 + ms, st.integers(0, 19), st.sampled_from((0, 1, 500, 999))),
            max_size=25,
        ),
        cuts=st.sets(st.integers(1, 19), max_size=4),
        window=st.none() | st.integers(1, 20).map(lambda seconds: timedelta(seconds=seconds)),
        page_size=st.sampled_from((1, 3, 100)),
        order=orders,
        end_time=end_times,
    )
    def test_call_center(
        self,
        offsets: list[int],
        cuts: set[int],
        window: timedelta | None,
        page_size: int,
        order: Any,
        end_time: Any,
    ) -> None:
        records = [
            {"callId": f"call {number}", "startTime": DAY_START * 1000 + offset}
            for number, offset in enumerate(offsets)
        ]
        edges = [DAY_START + cut for cut in sorted({0, *cuts, 20})]
        with Emulator(call_center=records, order=order, end_time=end_time) as server:
            lines = self.in_pieces(server, CALL_CENTER_CDR, edges, window=window, page_size=page_size)
            assert lines == lines_for(server, CALL_CENTER_CDR, records)

    @examples(25)
    @given(data=st.data(), date_of=st.sampled_from(["start", "end"]), order=orders, page_size=st.sampled_from((1, 5)))
    @pytest.mark.parametrize(
        ("zone_name", "middle"),
        [
            ("Asia/Shanghai", "2026-03-17"),
            ("America/New_York", "2026-03-08"),  # 02:00 to 03:00 never comes
            ("America/New_York", "2026-11-01"),  # 01:00 to 02:00 comes twice
            ("America/Sao_Paulo", "2018-11-04"),  # midnight to 01:00 never comes
            ("America/Sao_Paulo", "2018-02-18"),  # 23:00 to 24:00 of the day before comes twice
        ],
    )
    def test_did(
        self, zone_name: str, middle: str, data: st.DataObject, date_of: Any, order: Any, page_size: int
    ) -> None:
        zone = ZoneInfo(zone_name)
        midnight = datetime.fromisoformat(middle)
        near = st.integers(-100, 250) | st.integers(-60 * 20, 60 * 40)  # minutes, most of them near the change
        minutes = data.draw(st.lists(st.tuples(near, st.integers(0, 300)), max_size=12))
        records = [
            {
                "id": number,
                "startTime": (midnight + timedelta(minutes=start)).isoformat(" "),
                "endTime": (midnight + timedelta(minutes=start + duration)).isoformat(" "),
            }
            for number, (start, duration) in enumerate(minutes)
        ]
        change = int(midnight.replace(tzinfo=zone).timestamp())
        cuts = data.draw(st.sets(near.map(lambda minute: change + 60 * minute), max_size=2))
        edges = sorted({change - 2 * 86_400, *cuts, change + 3 * 86_400})
        with Emulator(did=records, timezone=zone_name, did_date_of=date_of, order=order) as server:
            lines = self.in_pieces(server, DID_CDR, edges, timezone=zone, page_size=page_size)
            assert lines == lines_for(server, DID_CDR, records)

    @each_kind
    def test_a_day_is_its_hours(self, emulator: StartEmulator, endpoint: Endpoint) -> None:
        server = emulator(call_center_per_day=200, did_per_day=200, end_time="inclusive")
        edges = list(range(DAY_START, DAY_END + 1, 3600))
        assert self.in_pieces(server, endpoint, edges) == server_records(server, endpoint)

    def test_a_call_of_an_hour_that_comes_twice_is_in_its_first_occurrence(self, emulator: StartEmulator) -> None:
        zone = ZoneInfo("America/New_York")
        record = {"id": 1, "startTime": "2026-11-01 01:30:00", "endTime": "2026-11-01 01:31:00"}
        server = emulator(did=[record], timezone=zone.key)
        first = int(datetime.fromisoformat("2026-11-01T05:00:00Z").timestamp())
        counts = [
            len(extract(server, DID_CDR, first + h * 3600, first + (h + 1) * 3600, timezone=zone)) for h in (0, 1)
        ]
        assert counts == [1, 0]

    def test_did_records_are_of_the_interval_that_their_start_lies_in(self, emulator: StartEmulator) -> None:
        server = emulator(did_per_day=500)
        interval = (DAY_START + 33_333, DAY_END + 44_444)
        assert extract(server, DID_CDR, *interval) == server_records(server, DID_CDR, *interval)


def test_a_time_that_cannot_be_read_is_an_error_of_its_own(emulator: StartEmulator) -> None:
    server = emulator(did_per_day=5)
    payload = {"totalRow": 1, "totalPage": 1, "list": [{"id": 1, "startTime": "at 85200001234"}]}
    server.add_fault(Fault("data", payload=payload, times=None))
    with pytest.raises(errors.NXCloudUnexpectedResponseError, match="startTime") as caught:
        extract(server, DID_CDR, DAY_START + 1, DAY_END)
    assert "8520" not in str(caught.value)


class TestFailures:
    @each_kind
    def test_come_as_they_are(self, emulator: StartEmulator, endpoint: Endpoint) -> None:
        server = emulator(permitted=())
        with pytest.raises(errors.NXCloudPermissionError) as caught:
            extract(server, endpoint)
        assert caught.value.endpoint == endpoint.kind
        assert len(server.requests) <= 2  # the first pages are asked for side by side

    @each_kind
    @pytest.mark.parametrize("page", [1, 2, 3])
    def test_on_any_page_are_never_fewer_records(self, emulator: StartEmulator, endpoint: Endpoint, page: int) -> None:
        server = emulator(call_center_per_day=250, did_per_day=250)
        server.add_fault(Fault("status", page=page, times=None))
        with extraction_of(server, endpoint, page_size=100) as extraction, pytest.raises(errors.NXCloudServerError):
            list(extraction.blocks())
        assert extraction.records == 0

    def test_in_a_later_window_come_after_the_records_before_it(self, emulator: StartEmulator) -> None:
        server = emulator(call_center_per_day=100)
        server.add_fault(Fault("status", after=6, times=None))
        with (
            extraction_of(server, CALL_CENTER_CDR, window=2 * HOUR, max_concurrency=1) as extraction,
            pytest.raises(errors.NXCloudServerError),
        ):
            list(extraction.blocks())
        assert 0 < extraction.records < 100

    def test_a_rate_limit_beyond_the_budget_does_not_wait_for_the_other_pages(self, emulator: StartEmulator) -> None:
        """A page before the refused one is to be tried again, which the server's wish would hold up for an hour."""
        server = emulator(did_per_day=300)
        server.add_fault(Fault("latency", page=2, seconds=0.3))
        server.add_fault(Fault("status", page=2))
        server.add_fault(Fault("rate_limit", page=3, retry_after=3600))
        started = time.monotonic()
        with pytest.raises(errors.NXCloudRateLimitError) as caught:
            extract(server, DID_CDR, page_size=100)
        assert time.monotonic() - started < 10
        assert caught.value.retry_after == pytest.approx(3600, abs=10)


class TestEnd:
    """However an extraction is left, nothing goes on behind its back."""

    class Interruption(BaseException):
        """What a signal raises."""

    def assert_quiet(self, server: Emulator, left: float) -> None:
        wait_until(lambda: not worker_threads())
        assert all(request.time <= left + 1 for request in server.requests)

    @each_kind
    @pytest.mark.parametrize("error", [Interruption, KeyboardInterrupt, ValueError])
    def test_by_an_exception_in_the_middle(
        self, emulator: StartEmulator, endpoint: Endpoint, error: type[BaseException]
    ) -> None:
        server = emulator(call_center_per_day=1000, did_per_day=300, latency=0.02)

        def consume() -> None:
            start = DAY_START - 10 * 86_400
            with extraction_of(server, endpoint, start, DAY_END, window=HOUR, page_size=50) as extraction:
                next(extraction.blocks())
                raise error

        with pytest.raises(error):
            consume()
        self.assert_quiet(server, time.monotonic())
        assert len(server.requests) < 500

    def test_by_closing_the_generator_that_holds_it(self, emulator: StartEmulator) -> None:
        server = emulator(call_center_per_day=1000, latency=0.02)

        def records() -> Iterator[bytes]:
            with extraction_of(server, CALL_CENTER_CDR, window=HOUR, page_size=10) as extraction:
                for block in extraction.blocks():
                    yield from block.splitlines()

        generator = records()
        next(generator)
        left = time.monotonic()
        generator.close()  # type: ignore[attr-defined]
        self.assert_quiet(server, left)

    @pytest.mark.parametrize("hold_up", ["latency", "rate limit", "pause", "back-off"])
    def test_from_another_thread(self, emulator: StartEmulator, hold_up: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """As ``on_kill`` does, whatever the requests are waiting for."""
        server = emulator(call_center_per_day=1000, latency=0.4 if hold_up == "latency" else 0.01)
        if hold_up == "pause":
            server.add_fault(Fault("rate_limit", page=2, retry_after=50, times=None))
        if hold_up == "back-off":
            for name in ("FIRST_BACKOFF_SECONDS", "LONGEST_BACKOFF_SECONDS"):
                monkeypatch.setattr(f"airflow_provider_nxcloud.api.client.{name}", 50)
            server.add_fault(Fault("status", page=2, times=None))
        rate = 0.02 if hold_up == "rate limit" else None
        with (
            extraction_of(server, CALL_CENTER_CDR, window=HOUR, page_size=10, requests_per_second=rate) as extraction,
            ThreadPoolExecutor(1) as reader,
        ):
            future = reader.submit(lambda: list(extraction.blocks()))
            wait_until(lambda: len(server.requests) >= 1)
            wait_until(lambda: any(request.status for request in server.requests))
            left = time.monotonic()
            extraction.close()
            with suppress(errors.NXCloudTransportError), pytest.raises(CancelledError):
                future.result(20)
            assert time.monotonic() - left < 10
        self.assert_quiet(server, left)

    @pytest.mark.parametrize("seed", range(12))
    def test_at_any_moment(self, emulator: StartEmulator, seed: int) -> None:
        """A window that asks for more just when all is stopped does not wait for it for ever."""
        server = emulator(call_center_per_day=300, latency=0.001)
        morning = (DAY_START + 9 * 3600, DAY_START + 13 * 3600)
        with extraction_of(
            server, CALL_CENTER_CDR, *morning, window=HOUR, page_size=2, max_concurrency=4
        ) as extraction:
            next(extraction.blocks())
            wait_until(lambda: len(server.requests) >= 10 + 3 * seed)
        self.assert_quiet(server, time.monotonic())

    def test_in_the_middle_of_a_window(self, emulator: StartEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(keeping, "BLOCK_BYTES", 1)
        with extraction_of(emulator(call_center_per_day=50), CALL_CENTER_CDR) as extraction:
            blocks = extraction.blocks()
            next(blocks)
            extraction.close()
            with pytest.raises(CancelledError):
                next(blocks)

    def test_twice_is_as_good_as_once(self, emulator: StartEmulator) -> None:
        with extraction_of(emulator(), CALL_CENTER_CDR) as extraction:
            extraction.close()
            with pytest.raises(CancelledError):
                list(extraction.blocks())


def test_progress_is_logged(emulator: StartEmulator, monkeypatch: pytest.MonkeyPatch, logs: Ear) -> None:
    monkeypatch.setattr(extraction, "PROGRESS_SECONDS", 0.01)
    monkeypatch.setattr(extraction, "POLL_SECONDS", 0.01)
    server = emulator(call_center_per_day=250, latency=0.05)
    assert len(extract(server, CALL_CENTER_CDR)) == 250
    assert logs.heard("call_center_cdr: 0 pages, 0 records read (0 records/s), 0 proven; 2 requests in flight") >= 1
    assert logs.heard("250 records read") >= 1
