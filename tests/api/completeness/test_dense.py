"""More calls in a second, or of one key, than questions about time can tell apart: all records or a failure."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_nxcloud.api.endpoints import CALL_CENTER_CDR, DID_CDR
from airflow_provider_nxcloud.api.errors import NXCloudUnexpectedResponseError
from tests.api.conftest import Record, StartEmulator, assert_right, assert_right_or_red, each_consistency, extract
from tests.conftest import DAY_START
from tests.emulator import Behaviour, Fault

NOON = (DAY_START + 12 * 3600) * 1000


def calls(count: int, milliseconds: int, **fields: Any) -> list[Record]:
    """Return calls that start evenly within so many milliseconds, and last a minute."""
    starts = (NOON + number * milliseconds // count for number in range(count))
    return [
        {"callId": f"call {number}", "startTime": start, "endTime": start + 60_000, **fields}
        for number, start in enumerate(starts)
    ]


@pytest.mark.parametrize("order", ["ascending", "descending"])
@pytest.mark.parametrize(("milliseconds", "page_size"), [(10_000, 100), (60_000, 20), (900, 100)])
def test_a_ceiling_where_the_edge_fills_pages(
    emulator: StartEmulator, order: str, milliseconds: int, page_size: int
) -> None:
    server = emulator(call_center=calls(1500, milliseconds), behaviour=Behaviour(row_ceiling=500), order=order)
    assert_right_or_red(server, CALL_CENTER_CDR, page_size=page_size)


@each_consistency
@pytest.mark.parametrize(("count", "milliseconds"), [(60, 900), (150, 5000), (300, 10_000)])
@pytest.mark.parametrize("offset_by", ["asked", "capped"])
def test_a_capped_size(
    emulator: StartEmulator, consistency: Any, count: int, milliseconds: int, offset_by: Any
) -> None:
    behaviour = Behaviour(page_size_cap=50, offset_by=offset_by)
    server = emulator(call_center=calls(count, milliseconds), behaviour=behaviour, order="ascending")
    assert_right_or_red(server, CALL_CENTER_CDR, consistency=consistency)


@pytest.mark.parametrize("answered", [None, True])
def test_parts_that_leave_records_out_prove_nothing(emulator: StartEmulator, answered: bool | None) -> None:
    server = emulator(call_center=calls(250, 900, answered=answered))
    server.add_fault(Fault("serve_page", other_page=1, times=None))
    assert_right_or_red(server, CALL_CENTER_CDR)


@each_consistency
@pytest.mark.parametrize("page_size", [1, 10, 100])
def test_legs_of_one_call_that_start_together(emulator: StartEmulator, consistency: Any, page_size: int) -> None:
    first = calls(30, 3_600_000)
    legs = [*first, {**first[7], "endTime": first[7]["endTime"] + 5_000_000}]
    server = emulator(call_center=legs, behaviour=Behaviour(selects_by="end"))
    assert_right(server, CALL_CENTER_CDR, consistency=consistency, page_size=page_size)


def test_a_start_that_is_no_time_beside_one_of_another_date(emulator: StartEmulator) -> None:
    records = [
        {"id": 1, "startTime": "2026-03-16 23:59:50", "endTime": "2026-03-17 00:00:10"},
        {"id": 2, "startTime": "2026-03-17 24:00:00", "endTime": "2026-03-17 00:00:10"},
    ]
    server = emulator()
    server.add_fault(Fault("data", payload={"totalRow": 2, "totalPage": 1, "list": records}, page=1, times=None))
    server.add_fault(Fault("data", payload={"totalRow": 2, "totalPage": 1, "list": []}, page=2, times=None))
    with pytest.raises(NXCloudUnexpectedResponseError, match="startTime is unreadable"):
        extract(server, DID_CDR)
