"""Windows that time cannot divide: further page sizes, whose edges lie elsewhere, and the parts apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_nxcloud.api.completeness.by_sizes import page_sizes
from airflow_provider_nxcloud.api.endpoints import DID_CDR
from tests.api.conftest import (
    StartEmulator,
    assert_right,
    assert_right_or_red,
    each_consistency,
    examples,
    records_within,
    server_of,
)
from tests.emulator import Behaviour, Fault


@examples(200)
@given(largest=st.integers(1, 999), share=st.floats(0, 1))
def test_page_sizes_differ_and_are_allowed(largest: int, share: float) -> None:
    first = max(1, round(largest * share))
    sizes = page_sizes(first, largest)
    assert sizes[0] == first
    assert len(sizes) == len({*sizes})
    assert all(1 <= size <= largest for size in sizes)
    assert len(sizes) >= min(largest, 3)


def test_a_window_without_ties_is_read_once(emulator: StartEmulator) -> None:
    server = server_of(emulator, DID_CDR, 1234)
    assert_right(server, DID_CDR)
    assert {request.body["pageSize"] for request in server.requests if request.body} == {999}


@each_consistency
def test_the_parts_are_read_apart_where_sizes_do_not_help(emulator: StartEmulator, consistency: str) -> None:
    """All calls of an hour at few moments: more records lie on an edge than a few sizes bring."""
    records = records_within(DID_CDR, 600, 3)
    server = emulator(did=records, behaviour=Behaviour(ties="by_query"))
    assert_right(server, DID_CDR, page_size=100, consistency=consistency)


@pytest.mark.parametrize("page", [1, 2, 3])
def test_a_page_that_always_holds_another_s_records(emulator: StartEmulator, page: int) -> None:
    server = server_of(emulator, DID_CDR, 350)
    server.add_fault(Fault("serve_page", page=page, other_page=4, times=None))
    assert_right_or_red(server, DID_CDR, page_size=100)
