"""What real servers were found to do, each of which once ended green with wrong data."""

from __future__ import annotations

import time
from collections import Counter
from datetime import timedelta

import pytest

from airflow_provider_nxcloud.api.completeness.proving import Consistency
from airflow_provider_nxcloud.api.endpoints import CALL_CENTER_CDR, DID_CDR, Endpoint
from airflow_provider_nxcloud.api.errors import (
    NXCloudIncompleteResultError,
    NXCloudMisplacedRecordsError,
    NXCloudNotEndedError,
)
from tests.api.conftest import (
    NAMES,
    StartEmulator,
    assert_right,
    assert_right_or_red,
    client_of,
    each_consistency,
    each_kind,
    each_order,
    extract,
    extraction_of,
    fetch,
    lines_for,
    lines_of,
    records_of_day,
    records_within,
    server_of,
    server_records,
    without_keys,
)
from tests.conftest import DAY_END, DAY_START, PAUSE_SECONDS
from tests.emulator import Behaviour, Emulator, Fault

HOUR = 3600
PAGE = 100


class TestTiesAtPageEdges:
    """1: records of one time stand in another order with each LIMIT and OFFSET, the same one each time."""

    @each_consistency
    def test_of_call_center_records(self, emulator: StartEmulator, consistency: Consistency) -> None:
        records = records_within(CALL_CENTER_CDR, 2000, 60)
        server = emulator(call_center=records, behaviour=Behaviour(ties="by_query"))
        assert_right(server, CALL_CENTER_CDR, consistency=consistency)

    @each_consistency
    def test_of_did_records(self, emulator: StartEmulator, consistency: Consistency) -> None:
        records = records_within(DID_CDR, 2500, 600)
        server = emulator(did=records, behaviour=Behaviour(ties="by_query"))
        assert_right(server, DID_CDR, consistency=consistency)


class TestCeilings:
    """2: rows beyond a ceiling are not served, and nothing says so."""

    @each_consistency
    @each_order
    def test_row_ceiling(self, emulator: StartEmulator, order: str, consistency: Consistency) -> None:
        server = server_of(emulator, CALL_CENTER_CDR, 1750, behaviour={"row_ceiling": 1000}, order=order)
        assert_right(server, CALL_CENTER_CDR, consistency=consistency)

    def test_depth_ceiling(self, emulator: StartEmulator) -> None:
        server = server_of(emulator, CALL_CENTER_CDR, 12_345, behaviour={"depth_ceiling": 10_000})
        assert_right(server, CALL_CENTER_CDR)

    @each_consistency
    @pytest.mark.parametrize("count", [1350, 1750, 3000])
    def test_did_total_capped(self, emulator: StartEmulator, count: int, consistency: Consistency) -> None:
        """Of 1 750 records one call type alone has more than the ceiling, of 3 000 each has."""
        behaviour = {"row_ceiling": 1000, "ceiling_in_total": True}
        server = server_of(emulator, DID_CDR, count, behaviour=behaviour)
        assert_right_or_red(server, DID_CDR, consistency=consistency)


class TestTransientEmptyPages:
    """3: a back end that restarts has no records for a moment."""

    @each_consistency
    def test_in_the_middle_of_the_reading(self, emulator: StartEmulator, consistency: Consistency) -> None:
        server = server_of(emulator, CALL_CENTER_CDR, 3000)
        server.add_fault(Fault("data", payload=[], after=8, times=2))
        assert_right(server, CALL_CENTER_CDR, max_concurrency=1, consistency=consistency)

    @each_consistency
    def test_at_the_first_page(self, emulator: StartEmulator, consistency: Consistency) -> None:
        server = server_of(emulator, CALL_CENTER_CDR, 150)
        server.add_fault(Fault("outage", seconds=PAUSE_SECONDS / 2))
        assert_right(server, CALL_CENTER_CDR, consistency=consistency)

    def test_in_place_of_a_part_of_the_only_page(self, emulator: StartEmulator) -> None:
        server = server_of(emulator, CALL_CENTER_CDR, 90)
        server.add_fault(Fault("short_page", page=1, records=40))
        assert_right(server, CALL_CENTER_CDR)


@each_kind
@each_consistency
@pytest.mark.parametrize("offset_by", ["asked", "capped"])
@pytest.mark.parametrize("count", [60, 100])
def test_page_size_capped(
    emulator: StartEmulator, endpoint: Endpoint, count: int, offset_by: str, consistency: Consistency
) -> None:
    """4: pages hold 50 records, whatever is asked for, while the offset may count by the size asked for."""
    server = server_of(emulator, endpoint, count, behaviour={"page_size_cap": 50, "offset_by": offset_by})
    assert_right(server, endpoint, page_size=PAGE, consistency=consistency)


def test_insert_after_the_page_that_ends_the_reading(emulator: StartEmulator) -> None:
    """5: the empty page was fetched ahead, before the insert, and the last full one after it."""
    server = server_of(emulator, CALL_CENTER_CDR, 200)
    newest_first = server.call_center_cdrs(DAY_START, DAY_END)[::-1]
    late = {**newest_first[150], "callId": "late"}
    # The second page is asked for twice; meanwhile the third is read.
    server.add_fault(Fault("latency", page=2, seconds=0.1))
    server.add_fault(Fault("status", page=2, status=503))
    server.add_fault(Fault("insert", page=2, after=1, record=late))
    assert_right(server, CALL_CENTER_CDR)
    assert len(server.call_center_cdrs(DAY_START, DAY_END)) == 201


class TestStartsAfterTheEnd:
    """6: what an inclusive end does not explain is no reason to leave a record out."""

    @each_kind
    @each_consistency
    def test_a_zone_mistaken_by_the_server(
        self, emulator: StartEmulator, endpoint: Endpoint, consistency: Consistency
    ) -> None:
        server = server_of(emulator, endpoint, 720, behaviour={"reported_shift_seconds": 8 * HOUR})
        with pytest.raises(NXCloudMisplacedRecordsError, match=r"of 720 records .* a time zone that somebody mistook"):
            extract(server, endpoint, consistency=consistency)
        assert len(extract(server, endpoint, consistency=consistency, keep_misplaced=True)) == 720

    @pytest.mark.parametrize("unit", ["seconds", "microseconds"])
    def test_a_unit_mistaken_by_the_server(self, emulator: StartEmulator, unit: str) -> None:
        server = server_of(emulator, CALL_CENTER_CDR, 150, behaviour={"reported_unit": unit})
        with pytest.raises(NXCloudMisplacedRecordsError, match=f"150 of 150 .* read as {unit} the times would fit"):
            extract(server, CALL_CENTER_CDR)
        assert len(extract(server, CALL_CENTER_CDR, keep_misplaced=True)) == 150


class TestStartsBeforeTheStart:
    """7: the server rounds stored times to the second, and takes the end as inclusive."""

    EDGE = DAY_START + HOUR

    def server(self, emulator: StartEmulator) -> Emulator:
        records = [
            {"callId": f"call {number}", "startTime": start, "endTime": start + 1000}
            for number, start in enumerate(range((self.EDGE - 10) * 1000, (self.EDGE + 10) * 1000, 300))
        ]
        return emulator(call_center=records, behaviour=Behaviour(stored_grain="rounded"), end_time="inclusive")

    @each_consistency
    def test_two_hours_hold_each_record_once(self, emulator: StartEmulator, consistency: Consistency) -> None:
        server = self.server(emulator)
        found = [
            line
            for start in (DAY_START, self.EDGE)
            for line in extract(server, CALL_CENTER_CDR, start, start + HOUR, consistency=consistency)
        ]
        assert sorted(found) == server_records(server, CALL_CENTER_CDR)

    @each_consistency
    def test_windows_of_one_interval_hold_each_record_once(
        self, emulator: StartEmulator, consistency: Consistency
    ) -> None:
        server = self.server(emulator)
        interval = (DAY_START, DAY_START + 2 * HOUR)
        window = timedelta(minutes=15)
        lines = extract(server, CALL_CENTER_CDR, *interval, window=window, consistency=consistency)
        assert lines == server_records(server, CALL_CENTER_CDR)


class TestRecordsWithoutAKey:
    """8: the table of the DID page has no ``id``."""

    @each_consistency
    def test_ties_at_page_edges(self, emulator: StartEmulator, consistency: Consistency) -> None:
        records = records_within(DID_CDR, 2500, 600)
        server = emulator(did=records, behaviour=Behaviour(ties="by_query", without_key=True))
        assert_right(server, DID_CDR, consistency=consistency)

    @each_kind
    def test_a_server_that_ignores_the_page_number(self, emulator: StartEmulator, endpoint: Endpoint) -> None:
        records = without_keys(endpoint, records_of_day(endpoint, 200))
        server = emulator(**{NAMES[endpoint]: records})
        server.add_fault(Fault("serve_page", times=None))
        assert_right_or_red(server, endpoint, page_size=PAGE)
        assert len(server.requests) <= 500


class TestPagesOfAnotherState:
    """9: caches under a wrong key, stale ones, and replicas."""

    @each_kind
    @each_consistency
    def test_a_page_that_always_holds_the_records_of_another(
        self, emulator: StartEmulator, endpoint: Endpoint, consistency: Consistency
    ) -> None:
        server = server_of(emulator, endpoint, 1000)
        server.add_fault(Fault("serve_page", page=3, other_page=7, times=None))
        options = {"page_size": PAGE, "consistency": consistency}
        if endpoint is CALL_CENTER_CDR:
            assert_right(server, endpoint, **options)
        else:
            assert_right_or_red(server, endpoint, **options)

    @each_consistency
    def test_a_stale_cached_page(self, emulator: StartEmulator, consistency: Consistency) -> None:
        server = server_of(emulator, CALL_CENTER_CDR, 1000)
        server.add_fault(Fault("cached", page=3, times=None))
        fetch(client_of(server), page=3)
        newest = server.call_center_cdrs(DAY_START, DAY_END)[-1]
        server.insert("call_center", {**newest, "callId": "late"})
        assert_right(server, CALL_CENTER_CDR, consistency=consistency)

    def test_replicas_that_answer_in_turn(self, emulator: StartEmulator) -> None:
        """A record that both hold is there; the one that lags may be."""
        records = records_of_day(CALL_CENTER_CDR, 150)
        lagging = records[-3]
        behaviour = Behaviour(replicas=2, lagging=frozenset({lagging["callId"]}))
        server = emulator(call_center=records, behaviour=behaviour)
        try:
            found = Counter(extract(server, CALL_CENTER_CDR, max_concurrency=1, consistency="double"))
        except NXCloudIncompleteResultError:
            return
        assert found.keys() | {*lines_for(server, CALL_CENTER_CDR, [lagging])} == {
            *server_records(server, CALL_CENTER_CDR)
        }
        assert max(found.values()) == 1


@each_consistency
def test_did_record_listed_under_two_dates(emulator: StartEmulator, consistency: Consistency) -> None:
    """10: a call over midnight is written once by a run that reads both."""
    record = {"id": 1, "startTime": "2026-03-16 23:59:00", "endTime": "2026-03-17 00:01:00"}
    server = emulator(did=[record], did_date_of="both")
    with extraction_of(server, DID_CDR, DAY_START - 86_400, DAY_END, consistency=consistency) as extraction:
        assert lines_of(extraction) == lines_for(server, DID_CDR, [record])


class TestClockAhead:
    """11: the client learns the server's clock from a refusal, and the interval ends by that clock."""

    BEHIND = 600.0

    def test_an_interval_that_has_not_ended_is_refused(self, emulator: StartEmulator) -> None:
        server = emulator(clock_offset=-self.BEHIND)
        end = int(time.time()) - 60
        with pytest.raises(NXCloudNotEndedError, match="this worker's clock is ahead") as caught:
            extract(server, CALL_CENTER_CDR, end - HOUR, end, ready_at=float(end))
        assert caught.value.seconds == pytest.approx(self.BEHIND - 60, abs=3)

    def test_one_that_is_about_to_end_is_waited_for(self, emulator: StartEmulator) -> None:
        server = emulator(clock_offset=-self.BEHIND)
        ready_at = time.time() - self.BEHIND + 2
        end = int(ready_at)
        late = {"callId": "late", "startTime": end * 1000 - 1}
        server.add_fault(Fault("insert", after=6, record=late))
        lines = extract(server, CALL_CENTER_CDR, end - HOUR, end, ready_at=ready_at)
        assert lines == lines_for(server, CALL_CENTER_CDR, [late])
        assert time.time() - self.BEHIND >= ready_at - 1
