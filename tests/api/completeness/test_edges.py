"""The interval's edges: a record is left out only where a neighbouring interval's query is shown to bring it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_nxcloud.api.endpoints import CALL_CENTER_CDR, DID_CDR
from airflow_provider_nxcloud.api.errors import NXCloudMisplacedRecordsError
from tests.api.conftest import Ear, Record, StartEmulator, extract, extraction_of, lines_for, lines_of
from tests.conftest import DAY_END, DAY_START
from tests.emulator import Behaviour, Fault

HOUR = 3600
#: The interval of these tests: an hour in the middle of the day.
START = DAY_START + 12 * HOUR
END = START + HOUR


def call(start: float, length: float = 60, key: str = "call") -> Record:
    """Return a call, whose times are seconds from the interval's start."""
    return {
        "callId": key,
        "startTime": round((START + start) * 1000),
        "endTime": round((START + start + length) * 1000),
    }


class TestBesideTheEnd:
    def test_what_an_inclusive_end_brings_is_the_next_interval_s(self, emulator: StartEmulator) -> None:
        server = emulator(call_center=[call(HOUR)], end_time="inclusive")
        assert extract(server, CALL_CENTER_CDR, START, END) == []
        assert len(extract(server, CALL_CENTER_CDR, END, END + HOUR)) == 1

    def test_what_the_next_interval_is_not_given_is_kept_and_warned_about(
        self, emulator: StartEmulator, logs: Ear
    ) -> None:
        """The server reports times a second later than those that it selects by: nobody else's query lists the call."""
        server = emulator(call_center=[call(HOUR - 0.5)], behaviour=Behaviour(reported_shift_seconds=1))
        assert extract(server, CALL_CENTER_CDR, START, END) == lines_for(server, CALL_CENTER_CDR, [call(HOUR + 0.5)])
        assert logs.heard("1 records of call_center_cdr start outside of the interval, yet the server chose them") == 1
        assert extract(server, CALL_CENTER_CDR, END, END + HOUR) == []

    @pytest.mark.parametrize("late", [1.001, 5, 8 * HOUR])
    def test_what_starts_later_is_an_error(self, emulator: StartEmulator, late: float) -> None:
        server = emulator()
        server.add_fault(Fault("data", page=1, payload=[call(1, key="a"), call(HOUR + late)], times=None))
        with pytest.raises(NXCloudMisplacedRecordsError, match=r"1 of 2 records for .* start after its end, up to"):
            extract(server, CALL_CENTER_CDR, START, END)

    def test_unless_it_is_to_be_kept(self, emulator: StartEmulator) -> None:
        records = [call(1, key="a"), call(HOUR + 5)]
        server = emulator(call_center=records[:1])
        server.add_fault(Fault("data", page=1, payload=records, times=None))
        lines = extract(server, CALL_CENTER_CDR, START, END, keep_misplaced=True)
        assert lines == lines_for(server, CALL_CENTER_CDR, records)


class TestBeforeTheStart:
    @pytest.mark.parametrize("length", [60, 3 * HOUR, 20 * HOUR])
    def test_a_call_that_was_chosen_by_its_end_is_kept_and_warned_about(
        self, emulator: StartEmulator, length: float, logs: Ear
    ) -> None:
        record = call(30 - length, length)
        server = emulator(call_center=[record], behaviour=Behaviour(selects_by="end"))
        assert extract(server, CALL_CENTER_CDR, START, END) == lines_for(server, CALL_CENTER_CDR, [record])
        assert logs.heard("1 records of call_center_cdr start outside of the interval, yet the server chose them") == 1
        assert extract(server, CALL_CENTER_CDR, START - HOUR, START) == []

    def test_one_that_both_intervals_are_given_is_the_earlier_one_s(self, emulator: StartEmulator) -> None:
        server = emulator(call_center=[call(-30)], behaviour=Behaviour(selects_by="overlap"))
        assert extract(server, CALL_CENTER_CDR, START, END) == []
        assert len(extract(server, CALL_CENTER_CDR, START - HOUR, START)) == 1

    def test_more_than_a_day_before_is_an_error(self, emulator: StartEmulator) -> None:
        server = emulator(call_center=[call(30 - 25 * HOUR, 25 * HOUR)], behaviour=Behaviour(selects_by="end"))
        with pytest.raises(NXCloudMisplacedRecordsError, match=r"1 of 1 records for .* start before its start"):
            extract(server, CALL_CENTER_CDR, START, END)
        assert len(extract(server, CALL_CENTER_CDR, START, END, keep_misplaced=True)) == 1


class TestCost:
    @pytest.mark.parametrize(("record", "further"), [(call(40), 0), (call(HOUR), 6)], ids=["within", "at the end"])
    def test_only_where_such_a_record_came(self, emulator: StartEmulator, record: Record, further: int) -> None:
        """One small window more."""
        server = emulator(call_center=[call(30, key="other"), record], end_time="inclusive")
        extract(server, CALL_CENTER_CDR, START, END)
        assert len(server.requests) <= 6 + further


class TestWindowsOfOneInterval:
    @pytest.mark.parametrize("options", [{"end_time": "inclusive"}, {"behaviour": Behaviour(selects_by="overlap")}])
    def test_hold_what_two_of_them_are_given_once(self, emulator: StartEmulator, options: dict[str, Any]) -> None:
        records = [call(600 * number, 700, key=f"call {number}") for number in range(5)]
        server = emulator(call_center=records, **options)
        with extraction_of(server, CALL_CENTER_CDR, START, END, window=timedelta(minutes=10)) as extraction:
            assert lines_of(extraction) == lines_for(server, CALL_CENTER_CDR, records)

    def test_dates_of_a_call_over_midnight(self, emulator: StartEmulator) -> None:
        records = [
            {"id": 1, "startTime": "2026-03-16 23:59:00", "endTime": "2026-03-17 00:01:00"},
            {"id": 2, "startTime": "2026-03-17 23:59:00", "endTime": "2026-03-18 00:01:00"},
        ]
        server = emulator(did=records, did_date_of="both")
        days = [extract(server, DID_CDR, DAY_START + n * 86_400, DAY_END + n * 86_400) for n in (-1, 0, 1)]
        assert [len(lines) for lines in days] == [1, 1, 0]
