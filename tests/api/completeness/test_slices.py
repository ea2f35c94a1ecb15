"""Slices of time: a window that they have to read, whatever its records' times are like."""

from __future__ import annotations

import pytest

from airflow_provider_nxcloud.api.endpoints import CALL_CENTER_CDR
from tests.api.conftest import (
    Record,
    StartEmulator,
    assert_right,
    each_consistency,
    extract,
    extraction_of,
    lines_for,
    lines_of,
    records_within,
    server_of,
)
from tests.conftest import DAY_START
from tests.emulator import Behaviour

HOUR = 3600
#: Requests that a small window may cost that is read both ways.
FEW = 80


def assert_cheap(emulator: StartEmulator, records: list[Record], behaviour: Behaviour) -> None:
    server = emulator(call_center=records, behaviour=behaviour)
    start = DAY_START + 6 * HOUR - HOUR // 4
    with extraction_of(
        server, CALL_CENTER_CDR, start, DAY_START + 6 * HOUR, page_size=13, consistency="double"
    ) as extraction:
        assert lines_of(extraction) == lines_for(server, CALL_CENTER_CDR, records)
    assert len(server.requests) <= FEW


def ending_together(count: int) -> list[Record]:
    """Return calls of an hour that end in one second of the window, and start before it."""
    end = (DAY_START + 6 * HOUR - 3) * 1000
    return [
        {"callId": f"call {number}", "startTime": end - HOUR * 1000 - number, "endTime": end} for number in range(count)
    ]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_calls_of_one_second_that_start_outside_of_the_window(emulator: StartEmulator, count: int) -> None:
    """The server selects by a call's end: the starts tell nothing of where a slice is full."""
    assert_cheap(emulator, ending_together(count), Behaviour(selects_by="end"))


@pytest.mark.parametrize("count", [2, 5])
def test_calls_of_one_second(emulator: StartEmulator, count: int) -> None:
    records = [record | {"startTime": record["endTime"]} for record in ending_together(count)]
    assert_cheap(emulator, records, Behaviour())


@each_consistency
@pytest.mark.parametrize("count", [99, 100, 101, 230])
def test_one_second_that_does_not_fit_on_a_page(emulator: StartEmulator, count: int, consistency: str) -> None:
    records = records_within(CALL_CENTER_CDR, count, 1)
    server = emulator(call_center=records, behaviour=Behaviour(ties="by_query"))
    assert_right(server, CALL_CENTER_CDR, consistency=consistency)


@pytest.mark.parametrize("seconds", [1, 2, 3])
def test_an_interval_of_few_seconds(emulator: StartEmulator, seconds: int) -> None:
    server = emulator(call_center=records_within(CALL_CENTER_CDR, 150, 3))
    for start in range(DAY_START, DAY_START + 3, seconds):
        lines = extract(server, CALL_CENTER_CDR, start, start + seconds, consistency="double")
        assert lines == lines_for(server, CALL_CENTER_CDR, server.call_center_cdrs(start, start + seconds))


def test_of_a_server_that_serves_small_pages(emulator: StartEmulator) -> None:
    server = server_of(emulator, CALL_CENTER_CDR, 400, behaviour={"page_size_cap": 7})
    assert_right(server, CALL_CENTER_CDR, page_size=20, consistency="double")
