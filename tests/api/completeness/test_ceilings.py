"""Ceilings and depth caps, which nothing tells of: all records or a failure, never fewer."""

from __future__ import annotations

import pytest

from airflow_provider_nxcloud.api.endpoints import CALL_CENTER_CDR, DID_CDR
from tests.api.conftest import StartEmulator, assert_right, assert_right_or_red, each_order, server_of

each_ceiling = pytest.mark.parametrize("name", ["row_ceiling", "depth_ceiling"])


@each_ceiling
@each_order
@pytest.mark.parametrize(("ceiling", "count"), [(500, 499), (500, 501), (500, 790), (1000, 1001)])
def test_call_center(emulator: StartEmulator, name: str, order: str, ceiling: int, count: int) -> None:
    server = server_of(emulator, CALL_CENTER_CDR, count, behaviour={name: ceiling}, order=order)
    if count <= ceiling or order != "none":
        assert_right(server, CALL_CENTER_CDR)
    else:
        assert_right_or_red(server, CALL_CENTER_CDR)


@pytest.mark.parametrize(("order", "count"), [("descending", 10_001), ("none", 10_400)])
def test_call_center_at_ten_thousand_rows(emulator: StartEmulator, order: str, count: int) -> None:
    server = server_of(emulator, CALL_CENTER_CDR, count, behaviour={"depth_ceiling": 10_000}, order=order)
    assert_right_or_red(server, CALL_CENTER_CDR)


@each_ceiling
@each_order
@pytest.mark.parametrize("in_total", [False, True])
@pytest.mark.parametrize(("ceiling", "count"), [(500, 499), (500, 501), (500, 700), (1000, 1250)])
def test_did(emulator: StartEmulator, name: str, order: str, in_total: bool, ceiling: int, count: int) -> None:
    server = server_of(emulator, DID_CDR, count, behaviour={name: ceiling, "ceiling_in_total": in_total}, order=order)
    if count <= ceiling:
        assert_right(server, DID_CDR, page_size=250)
    else:
        assert_right_or_red(server, DID_CDR, page_size=250)


def test_did_at_ten_thousand_rows(emulator: StartEmulator) -> None:
    server = server_of(emulator, DID_CDR, 10_300, behaviour={"depth_ceiling": 10_000, "ceiling_in_total": True})
    assert_right_or_red(server, DID_CDR)
