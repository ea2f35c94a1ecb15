"""The endpoints: what is asked for, and how a page is read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_nxcloud.api.endpoints import CALL_CENTER_CDR, DID_CDR, ENDPOINTS, Endpoint
from airflow_provider_nxcloud.api.pages import Facts
from tests.api.conftest import each_kind
from tests.conftest import DAY_END, DAY_START, ZONE


def test_facts_of_the_call_center_endpoint() -> None:
    endpoint = CALL_CENTER_CDR
    assert (endpoint.path, endpoint.biz_type, endpoint.action) == ("/saas/cc/openapi/cdr/page", "8", "cc")
    assert endpoint.max_page_size == 100
    assert endpoint.page_parameters(3, 50) == {"size": 50, "page": 3}


def test_facts_of_the_did_endpoint() -> None:
    endpoint = DID_CDR
    assert (endpoint.path, endpoint.biz_type, endpoint.action) == ("/api/did/cdr", "4", "cdr")
    assert endpoint.max_page_size == 999
    assert endpoint.page_parameters(3, 50) == {"pageSize": 50, "page": 3}


def test_kinds_are_distinct() -> None:
    assert [endpoint.kind for endpoint in ENDPOINTS] == ["call_center_cdr", "did_cdr"]


class TestFilters:
    @pytest.mark.parametrize(
        ("endpoint", "filters", "expected"),
        [
            (CALL_CENTER_CDR, {}, {}),
            (CALL_CENTER_CDR, {"answered": "all", "direction": "all"}, {}),
            (CALL_CENTER_CDR, {"answered": "unanswered"}, {"answered": 1}),
            (CALL_CENTER_CDR, {"answered": "answered"}, {"answered": 2}),
            (CALL_CENTER_CDR, {"direction": "incoming"}, {"direction": 1}),
            (CALL_CENTER_CDR, {"direction": "outgoing"}, {"direction": 2}),
            (CALL_CENTER_CDR, {"direction": "aicc"}, {"direction": 3}),
            (CALL_CENTER_CDR, {"agent_name": "NX0001", "order_id": "7"}, {"name": "NX0001", "orderId": "7"}),
            (
                CALL_CENTER_CDR,
                {"caller": "0001", "callee": "0002", "call_id": "c"},
                {"caller": "0001", "callee": "0002", "callId": "c"},
            ),
            (DID_CDR, {"did_number": "0001", "call_number": "0002"}, {"didNumber": "0001", "callNumber": "0002"}),
            (DID_CDR, {"call_type": "incoming"}, {"type": 0}),
            (DID_CDR, {"call_type": "outgoing"}, {"type": 1}),
            (DID_CDR, {"call_type": None, "did_number": ""}, {}),
        ],
    )
    def test_become_parameters(
        self, endpoint: Endpoint, filters: dict[str, str | None], expected: dict[str, Any]
    ) -> None:
        parameters = endpoint.filter_parameters(filters)
        assert parameters == expected
        assert [type(value) for value in parameters.values()] == [type(value) for value in expected.values()]

    @pytest.mark.parametrize(
        ("endpoint", "filters", "expected"),
        [
            (CALL_CENTER_CDR, {"did_number": "0001"}, "call_center_cdr has no filter 'did_number'; it has answered"),
            (DID_CDR, {"caller": None}, "did_cdr has no filter 'caller'; it has did_number, call_number, call_type"),
            (CALL_CENTER_CDR, {"answered": "yes"}, "answered must be one of all, unanswered, answered, not 'yes'"),
            (DID_CDR, {"call_type": "0"}, "call_type must be one of incoming, outgoing, not '0'"),
        ],
    )
    def test_unknown_ones_are_refused(self, endpoint: Endpoint, filters: dict[str, str | None], expected: str) -> None:
        with pytest.raises(ValueError, match=expected):
            endpoint.filter_parameters(filters)

    @each_kind
    def test_are_part_of_each_query_but_not_of_its_repr(self, endpoint: Endpoint) -> None:
        filters = {"callNumber": "85200001234"}
        (window,) = endpoint.windows(DAY_START, DAY_END, filters=filters, timezone=ZONE, span=None)
        assert window.parameters["callNumber"] == "85200001234"
        assert "8520" not in repr(window)


class TestPages:
    def test_call_center(self) -> None:
        page = CALL_CENTER_CDR.read_page(
            b'{"code":0,"data":[{"callId":"a","startTime":5},{"callId":7},{"callId":""},{"callId":null,"x":1}]}'
        )
        assert bytes(page.records[0]) == b'{"callId":"a","startTime":5}'
        assert page.facts.keys == ["a", 7, None, None]
        assert page.facts.starts == [5, None, None, None]
        assert page.total_records is None

    def test_did(self) -> None:
        page = DID_CDR.read_page(
            b'{"code":0,"data":{"totalRow":4,"totalPage":1,"list":[{"id":1,"startTime":"2026-03-17 00:00:00"},'
            b'{"id":"b"},{"id":""},{"id":0}]}}'
        )
        assert len(page.records) == 4
        assert page.facts.keys == [1, "b", None, 0]
        assert page.facts.starts == ["2026-03-17 00:00:00", None, None, None]
        assert page.total_records == 4

    def test_did_without_records_may_have_no_list(self) -> None:
        page = DID_CDR.read_page(b'{"code":0,"data":{"totalRow":0,"totalPage":0,"list":null}}')
        assert (list(page.records), page.total_records) == ([], 0)

    def test_did_without_a_list_has_no_records(self) -> None:
        with pytest.raises(ValueError, match="list is null, but totalRow is 1"):
            DID_CDR.read_page(b'{"code":0,"data":{"totalRow":1,"totalPage":1,"list":null}}')

    @pytest.mark.parametrize(
        ("endpoint", "starts"), [(CALL_CENTER_CDR, [5, None, None]), (DID_CDR, ["2026-03-17 00:00:00", None, None])]
    )
    def test_facts_of_records(self, endpoint: Endpoint, starts: list[Any]) -> None:
        records = [{"callId": "a", "id": "a", "startTime": starts[0]}, {"x": 1}, {"callId": "", "id": ""}]
        facts = endpoint.read_facts(json.dumps(records).encode())
        assert facts == Facts(["a", None, None], starts, [None, None, None])


class TestParts:
    """Narrower questions whose answers together are the window's."""

    def parts(self, endpoint: Endpoint, **filters: str) -> list[dict[str, Any]]:
        (window,) = endpoint.windows(
            DAY_START, DAY_END, filters=endpoint.filter_parameters(filters), timezone=ZONE, span=None
        )
        return [part.parameters for part in endpoint.parts(window)]

    def test_are_the_choices_of_a_filter_that_is_not_set(self) -> None:
        assert self.parts(DID_CDR) == [{"date": "2026-03-17", "type": 0}, {"date": "2026-03-17", "type": 1}]
        assert [part["answered"] for part in self.parts(CALL_CENTER_CDR)] == [1, 2]
        assert [part["direction"] for part in self.parts(CALL_CENTER_CDR, answered="answered")] == [1, 2, 3]

    def test_are_none_where_all_are_set(self) -> None:
        assert self.parts(DID_CDR, call_type="incoming") == []
        assert self.parts(CALL_CENTER_CDR, answered="answered", direction="incoming") == []
