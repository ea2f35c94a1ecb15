"""Tests of the emulator: what it serves, what it refuses, and how it fails on demand."""

import datetime
import email.utils
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests

from tests.emulator import Emulator, Fault, generate_call_center_cdrs, generate_did_cdrs
from tests.emulator.asking import (
    BODIES,
    DAY,
    END,
    PATHS,
    START,
    all_records,
    code_of,
    records_of,
    request_of,
    send,
    without,
)
from tests.emulator.encoding import decode, encode
from tests.emulator.rules import signature

CALL_CENTER_FIELDS = {
    "agentName", "agentNickName", "answered", "answerTime", "callDuration", "callee", "caller", "callId",
    "direction", "dtmfKeys", "endTime", "hangupBy", "hangupCode", "callStatus", "hangupReason", "inQueueTime",
    "leaveMsgUrl", "orderId", "other", "intent", "outQueueTime", "queueDuration", "recordUrl", "ringDuration",
    "ringTime", "startTime", "taskId", "totalCustomerPrice",
}  # fmt: skip
DID_FIELDS = {
    "id", "number", "callNumber", "callType", "countryName", "callDuration", "feeType", "feeDurationMinute",
    "callPriceUnit", "callPrice", "endDirection", "endReason", "endReasonName", "callerIp", "calleeIp",
    "startTime", "endTime",
}  # fmt: skip


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    call_center = generate_call_center_cdrs(DAY, 250)
    with Emulator(call_center=call_center, did=generate_did_cdrs(DAY, 120)) as running:
        yield running


class TestEncoding:
    @pytest.mark.parametrize("digits", ["0.1234567890123456789", "1E-7", "0.10", "100", "-0.000", "1E+3"])
    def test_keeps_every_digit(self, digits: str) -> None:
        assert encode(Decimal(digits)) == digits

    @pytest.mark.parametrize("pretty", [False, True])
    def test_agrees_with_the_standard_library(self, pretty: bool) -> None:
        value: dict[str, Any] = {"a": [1, True, None, 'é"\\\n\u0001', {}, [], -1.5], "牛": {"b": [{"c": ""}]}}
        layout: dict[str, Any] = {"indent": 4} if pretty else {"separators": (",", ":")}
        assert encode(value, pretty=pretty) == json.dumps(value, ensure_ascii=False, **layout)

    def test_refuses_what_has_no_json_form(self) -> None:
        with pytest.raises(TypeError):
            encode({1, 2})


class TestRecords:
    @pytest.mark.parametrize("generate", [generate_call_center_cdrs, generate_did_cdrs])
    @pytest.mark.parametrize("count", [0, 1, 2, 3, 500])
    def test_are_repeatable(self, generate: Callable[..., list[dict[str, Any]]], count: int) -> None:
        records = generate(DAY, count, seed=3)
        assert records == generate(DAY, count, seed=3)
        assert len(records) == count

    @pytest.mark.parametrize(("generate", "key"), [(generate_call_center_cdrs, "callId"), (generate_did_cdrs, "id")])
    def test_have_keys_of_their_own(self, generate: Callable[..., list[dict[str, Any]]], key: str) -> None:
        days = [DAY + datetime.timedelta(days=n) for n in range(4)]
        keys = [record[key] for day in days for seed in range(3) for record in generate(day, 200, seed=seed)]
        assert len(set(keys)) == len(keys) == 2400

    @pytest.mark.parametrize("zone_name", ["Asia/Shanghai", "America/New_York", "UTC"])
    @pytest.mark.parametrize("day", [DAY, datetime.date(2024, 3, 10), datetime.date(2024, 11, 3)])
    def test_call_center_calls_start_within_the_day(self, zone_name: str, day: datetime.date) -> None:
        zone = ZoneInfo(zone_name)
        starts = [r["startTime"] for r in generate_call_center_cdrs(day, 800, timezone=zone_name)]
        first, last = (
            datetime.datetime.combine(day + datetime.timedelta(days=n), datetime.time(), zone).timestamp()
            for n in (0, 1)
        )
        assert starts == sorted(starts)
        assert starts[0] == first * 1000
        assert starts[-1] == last * 1000 - 1
        assert sum(start % 3_600_000 == 0 for start in starts) > 5

    def test_call_center_calls_are_of_every_sort(self) -> None:
        records = generate_call_center_cdrs(DAY, 2000)
        assert all(record.keys() == CALL_CENTER_FIELDS for record in records)
        assert {record["direction"] for record in records} == {0, 1, 2}
        assert all(bool(record["taskId"]) == (record["direction"] == 2) for record in records)
        assert all((record["answerTime"] > 0) == record["answered"] for record in records)
        assert all(record["endTime"] > record["startTime"] for record in records)
        assert any(record["endTime"] >= END * 1000 for record in records)
        unanswered = [record for record in records if not record["answered"]]
        assert all(record["agentName"] is None for record in unanswered)
        assert any(record["leaveMsgUrl"] for record in unanswered)
        prices = {str(record["totalCustomerPrice"]) for record in records}
        assert {"0.1234567890123456789", "1E-7"} <= prices
        office_hours = sum(9 <= (record["startTime"] // 1000 - START) // 3600 < 18 for record in records)
        assert office_hours > 0.6 * len(records)

    def test_call_center_texts_are_awkward(self) -> None:
        records = generate_call_center_cdrs(DAY, 2000)
        texts = {str(value) for record in records for value in (record["agentNickName"], record["other"])}
        assert all(any(mark in text for text in texts) for mark in ('"', ",", "\n", "牛", "é", "\\"))
        assert any(text.startswith("=") for text in texts)

    def test_did_calls_are_of_every_sort(self) -> None:
        records = generate_did_cdrs(DAY, 2000)
        assert all(record.keys() == DID_FIELDS for record in records)
        assert all(record["startTime"].startswith("2023-07-01 ") for record in records)
        assert records[0]["startTime"] == "2023-07-01 00:00:00"
        assert any(record["endTime"].startswith("2023-07-02") for record in records)
        assert all(type(record["callPrice"]) is Decimal for record in records)
        assert {record["callType"] for record in records} == {0, 1}
        assert len({record["countryName"] for record in records}) > 3

    @pytest.mark.parametrize("generate", [generate_call_center_cdrs, generate_did_cdrs])
    def test_concern_nobody_real(self, generate: Callable[..., list[dict[str, Any]]]) -> None:
        invented = ("120255501", "447700900", "8520000", "660000", "620000", "2250000")
        for record in generate(DAY, 300):
            for field in {"caller", "callee", "number", "callNumber"} & record.keys():
                assert record[field].startswith(invented)
            for field in {"callerIp", "calleeIp"} & record.keys():
                assert record[field].startswith(("192.0.2.", "198.51.100.", "203.0.113."))


class TestSignature:
    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ('{"name":"牛小信","id":10001}', "87c3560d3331ae23f1021e2025722354"),
            ('{"id":10001,"name":"牛小信"}', "7750759da06333f20d0640be09355e34"),
            ('{"id": 10001, "name": "牛小信"}', "d0c24a9886c629330d7f3f2056c65bc2"),
        ],
    )
    def test_golden_vectors(self, body: str, expected: str) -> None:
        headers = {"accesskey": "fme2na3kdi3ki", "action": "send", "biztype": "1", "ts": "1655710885431"}
        assert signature(headers, body.encode(), "abciiiko2k3") == expected

    @pytest.mark.parametrize("algorithm", ["md5", "sha256"])
    def test_algorithms(self, emulator: Emulator, algorithm: str) -> None:
        assert code_of(emulator, algorithm=algorithm) == 0

    def test_an_empty_body_is_left_out_of_the_signature(self, emulator: Emulator) -> None:
        assert code_of(emulator, raw=b"") == 1002  # signed well, but no parameters


class TestHeaders:
    @pytest.mark.parametrize("name", ["accessKey", "ts", "bizType", "action", "sign"])
    @pytest.mark.parametrize("value", [None, ""])
    def test_missing(self, emulator: Emulator, name: str, value: str | None) -> None:
        assert code_of(emulator, headers={name: value}) == 1001

    @pytest.mark.parametrize(
        ("headers", "code"),
        [
            ({"accessKey": "somebody-else"}, 1005),
            ({"ts": "now"}, 1004),
            ({"ts": "1655710885431"}, 1004),
            ({"ts": str(int(time.time()))}, 1004),
            ({"algorithm": "sha1"}, 1002),
            ({"sign": "0" * 32}, 1003),
            ({"bizType": "6"}, 1002),
            ({"bizType": "4"}, 1002),
            ({"action": "cdr"}, 1002),
            ({"Content-Type": "text/plain"}, 1002),
            ({"Content-Type": None}, 1002),
            ({"Content-Type": "application/json; charset=utf-8"}, 0),
        ],
    )
    def test_wrong(self, emulator: Emulator, headers: dict[str, str | None], code: int) -> None:
        assert code_of(emulator, headers=headers) == code

    def test_are_checked_in_order(self, emulator: Emulator) -> None:
        wrong: dict[str, str | None] = {"bizType": "0", "sign": "0", "algorithm": "sha1", "ts": "0"}
        wrong["accessKey"] = "somebody-else"
        codes = []
        for name in ("accessKey", "ts", "algorithm", "sign", "bizType"):
            codes.append(code_of(emulator, page=0, headers=wrong))
            del wrong[name]
        assert [*codes, code_of(emulator, page=0)] == [1005, 1004, 1002, 1003, 1002, 1002]

    def test_an_upper_case_signature_is_wrong(self, emulator: Emulator) -> None:
        sign = request_of(emulator, "did", headers={"ts": (now := str(int(time.time() * 1000)))}).headers["sign"]
        assert code_of(emulator, "did", headers={"ts": now, "sign": sign}) == 0
        assert code_of(emulator, "did", headers={"ts": now, "sign": sign.upper()}) == 1003

    @pytest.mark.parametrize(("seconds", "code"), [(-61, 1004), (-55, 0), (55, 0), (61, 1004)])
    def test_timestamp_window(self, emulator: Emulator, seconds: float, code: int) -> None:
        assert code_of(emulator, headers={"ts": str(int((time.time() + seconds) * 1000))}) == code

    def test_permission(self) -> None:
        with Emulator(permitted=["did"]) as emulator:
            assert code_of(emulator, "call_center") == 1005
            assert code_of(emulator, "did") == 0

    @pytest.mark.parametrize("offset", [-300.0, 300.0])
    def test_a_skewed_clock_shows_in_the_date(self, offset: float) -> None:
        with Emulator(clock_offset=offset) as emulator:
            response = send(emulator, "did")
            assert response.json()["code"] == 1004
            shown = email.utils.parsedate_to_datetime(response.headers["Date"]).timestamp()
            assert shown - time.time() == pytest.approx(offset, abs=2)
            assert code_of(emulator, "did", headers={"ts": str(int(shown * 1000))}) == 0


class TestBodies:
    @pytest.mark.parametrize(
        ("endpoint", "change"),
        [
            ("call_center", {"size": 0}),
            ("call_center", {"size": 101}),
            ("call_center", {"size": "100"}),
            ("call_center", {"size": 10.0}),
            ("call_center", {"page": 0}),
            ("call_center", {"page": True}),
            ("call_center", {"startTime": "1688140800"}),
            ("call_center", {"startTime": START * 1000}),
            ("call_center", {"startTime": -1}),
            ("call_center", {"endTime": START - 1}),
            ("call_center", {"endTime": None}),
            ("call_center", {"answered": True}),
            ("call_center", {"answered": 3}),
            ("call_center", {"direction": 4}),
            ("call_center", {"direction": -1}),
            ("call_center", {"name": 4444}),
            ("call_center", {"caller": None}),
            ("call_center", {"callee": ""}),
            ("call_center", {"pageSize": 100}),
            ("did", {"pageSize": 0}),
            ("did", {"pageSize": 1000}),
            ("did", {"page": 0}),
            ("did", {"page": "1"}),
            ("did", {"date": "2023-7-1"}),
            ("did", {"date": "2023-02-30"}),
            ("did", {"date": "20230701"}),
            ("did", {"date": 20230701}),
            ("did", {"date": "2023-07-01 00:00:00"}),
            ("did", {"type": 2}),
            ("did", {"type": False}),
            ("did", {"didNumber": 4444}),
            ("did", {"size": 10}),
        ],
    )
    def test_wrong_parameter(self, emulator: Emulator, endpoint: str, change: dict[str, Any]) -> None:
        assert code_of(emulator, endpoint, **change) == 1002

    @pytest.mark.parametrize(
        ("endpoint", "name", "code"),
        [
            ("call_center", "startTime", 1002),
            ("call_center", "endTime", 41000),
            ("call_center", "size", 1002),
            ("call_center", "page", 1002),
            ("did", "date", 1002),
            ("did", "pageSize", 1002),
            ("did", "page", 1002),
        ],
    )
    def test_missing_parameter(self, emulator: Emulator, endpoint: str, name: str, code: int) -> None:
        assert code_of(emulator, endpoint, without(endpoint, name)) == code

    @pytest.mark.parametrize("raw", [b"[]", b"null", b"{", b"\xff", b"1"])
    @pytest.mark.parametrize("endpoint", ["call_center", "did"])
    def test_not_an_object(self, emulator: Emulator, endpoint: str, raw: bytes) -> None:
        assert code_of(emulator, endpoint, raw=raw) == 1002

    def test_shapes_of_failure(self, emulator: Emulator) -> None:
        call_center = send(emulator, "call_center", without("call_center", "endTime")).json()
        assert len(call_center.pop("reqId")) == 32
        assert call_center == {"code": 41000, "msg": "End date cannot be empty", "data": {}}
        did = send(emulator, "did", page=0).json()
        assert did == {"code": 1002, "data": None, "message": "Parameter error"}

    def test_shapes_of_success(self, emulator: Emulator) -> None:
        answer = send(emulator, "call_center", endTime=START).json()
        assert len(answer.pop("reqId")) == 32
        assert answer == {"code": 0, "msg": "Request succeeded", "data": []}
        answer = send(emulator, "did", date="2023-07-02", page=2).json()
        empty = {"totalRow": 0, "pageNumber": 2, "totalPage": 0, "pageSize": 999, "list": []}
        assert answer == {"code": 0, "data": empty, "message": "Request successful"}


class TestHttp:
    def test_unknown_path(self, emulator: Emulator) -> None:
        assert requests.post(f"{emulator.url}/elsewhere", timeout=5).status_code == 404
        assert [(r.endpoint, r.status, r.code) for r in emulator.requests] == [("/elsewhere", 404, None)]

    def test_other_method(self, emulator: Emulator) -> None:
        response = requests.get(emulator.url + PATHS["did"], timeout=5)
        assert response.status_code == 405
        assert "Date" in response.headers

    def test_connections_are_kept_alive(self, emulator: Emulator) -> None:
        with requests.Session() as session:
            ports = set()
            for _ in range(3):
                response = session.send(request_of(emulator, "did"), stream=True)
                connection: Any = response.raw.connection
                ports.add(connection.sock.getsockname()[1])
                assert response.json()["code"] == 0
        assert len(ports) == 1

    def test_a_connection_closes_when_asked_to(self, emulator: Emulator) -> None:
        assert send(emulator, "did", headers={"Connection": "close"}).headers["Connection"] == "close"

    def test_requests_sent_ahead_are_answered_in_turn(self, emulator: Emulator) -> None:
        emulator.add_fault(Fault("latency", seconds=0.1))
        answers = exchange_bytes(
            emulator, wire(request_of(emulator, "did", pageSize=1)) * 2, until=b'successful"}', times=2
        )
        assert answers.count(b"HTTP/1.1 200 OK") == 2

    def test_nonsense(self, emulator: Emulator) -> None:
        assert exchange_bytes(emulator, b"\x00\x01\r\n\r\n").startswith(b"HTTP/1.1 400 ")

    def test_restart_keeps_the_port(self) -> None:
        emulator = Emulator()
        with emulator:
            port = emulator.port
        with pytest.raises(requests.ConnectionError):
            send(emulator, "did")
        with emulator:
            assert emulator.port == port
            assert code_of(emulator, "did") == 0

    def test_a_port_in_use(self, emulator: Emulator) -> None:
        with pytest.raises(OSError, match="in use"):
            Emulator(port=emulator.port).start()

    def test_an_error_within_is_an_answer_too(self, emulator: Emulator) -> None:
        emulator.add_fault(Fault("remove", key="no such call"))
        assert send(emulator, "call_center").status_code == 500
        assert code_of(emulator) == 0


def wire(request: requests.PreparedRequest) -> bytes:
    assert isinstance(request.body, bytes)
    lines = [f"POST {request.path_url} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + request.body


def receive_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def exchange_bytes(emulator: Emulator, sent: bytes, *, until: bytes = b"", times: int = 1) -> bytes:
    """Return what comes back until the server ends the connection, or `until` has come so many times."""
    received = b""
    with socket.create_connection(("127.0.0.1", emulator.port), timeout=5) as connection:
        connection.sendall(sent)
        while part := connection.recv(65536):
            received += part
            if until and received.count(until) >= times:
                break
    return received


class TestQueries:
    @pytest.mark.parametrize(("endpoint", "size"), [("call_center", 7), ("call_center", 50), ("did", 37), ("did", 120)])
    def test_pages_cover_all(self, emulator: Emulator, endpoint: str, size: int) -> None:
        truth = {"call_center": emulator.call_center_cdrs, "did": emulator.did_cdrs}[endpoint](START, END)
        assert all_records(emulator, endpoint, size) == truth[::-1]
        assert len(truth) == {"call_center": 250, "did": 120}[endpoint]

    def test_totals(self, emulator: Emulator) -> None:
        data = send(emulator, "did", pageSize=50, page=3).json()["data"]
        assert len(data.pop("list")) == 20
        assert data == {"totalRow": 120, "pageNumber": 3, "totalPage": 3, "pageSize": 50}

    def test_ascending(self) -> None:
        records = generate_call_center_cdrs(DAY, 60)
        with Emulator(call_center=records[::-1], order="ascending") as emulator:
            assert records_of(emulator, "call_center") == records

    @pytest.mark.parametrize("endpoint", ["call_center", "did"])
    def test_records_are_sent_to_the_letter(self, emulator: Emulator, endpoint: str) -> None:
        truth = {"call_center": emulator.call_center_cdrs, "did": emulator.did_cdrs}[endpoint](START, END)
        body = send(emulator, endpoint).content
        assert emulator.json_of(endpoint, truth[-1]) in body
        assert b"0.1234567890123456789" in b"".join(emulator.json_of(endpoint, record) for record in truth)
        with pytest.raises(KeyError):
            emulator.json_of("elsewhere", {})

    def test_text_is_utf_8_as_it_is(self) -> None:
        with Emulator(call_center=generate_call_center_cdrs(DAY, 100)) as emulator:
            body = send(emulator, "call_center").content
        assert "牛小信".encode() in body
        assert b'":1' in body
        assert b'": ' not in body

    def test_pretty(self) -> None:
        records = generate_call_center_cdrs(DAY, 20)
        with Emulator(call_center=records, did_per_day=5, pretty=True) as emulator:
            body = send(emulator, "call_center").content
            assert body.startswith(b'{\n    "reqId": "')
            assert decode(body)["data"] == records[::-1]
            assert b'\n    "data": {\n        "totalRow": 5,' in send(emulator, "did").content

    @pytest.mark.parametrize(
        ("change", "belongs"),
        [
            ({"answered": 1}, lambda record: not record["answered"]),
            ({"answered": 2}, lambda record: record["answered"]),
            ({"direction": 1}, lambda record: record["direction"] == 0),
            ({"direction": 2}, lambda record: record["direction"] == 1),
            ({"direction": 3}, lambda record: record["direction"] == 2),
            ({"direction": 0, "answered": 0}, lambda record: True),
            (
                {"direction": 1, "answered": 1},
                lambda record: not record["direction"] and not record["answered"],
            ),
            ({"orderId": "ORDER-3"}, lambda record: record["orderId"] == "ORDER-3"),
        ],
    )
    def test_call_center_filters(
        self, emulator: Emulator, change: dict[str, Any], belongs: Callable[[dict[str, Any]], bool]
    ) -> None:
        expected = [record for record in emulator.call_center_cdrs(START, END)[::-1] if belongs(record)]
        assert all_records(emulator, "call_center", 20, **change) == expected != []

    @pytest.mark.parametrize(
        ("name", "field"),
        [("name", "agentName"), ("caller", "caller"), ("callee", "callee"), ("callId", "callId")],
    )
    def test_call_center_filters_on_text(self, emulator: Emulator, name: str, field: str) -> None:
        truth = emulator.call_center_cdrs(START, END)
        value = next(record[field] for record in truth if record[field])
        expected = [record for record in truth[::-1] if record[field] == value]
        assert records_of(emulator, "call_center", **{name: value}) == expected

    @pytest.mark.parametrize(
        ("name", "field"), [("didNumber", "number"), ("callNumber", "callNumber"), ("type", "callType")]
    )
    def test_did_filters(self, emulator: Emulator, name: str, field: str) -> None:
        truth = emulator.did_cdrs(START, END)[::-1]
        value = truth[0][field]
        expected = [record for record in truth if record[field] == value]
        assert records_of(emulator, "did", **{name: value}) == expected != truth

    def test_an_empty_did_number_is_no_filter(self, emulator: Emulator) -> None:
        assert len(records_of(emulator, "did", didNumber="", callNumber="")) == 120

    @pytest.mark.parametrize(
        ("end_time", "expected"),
        [("exclusive", [0, 1]), ("inclusive", [0, 1, 2]), ("inclusive_seconds", [0, 1, 2, 3])],
    )
    def test_readings_of_end_time(self, end_time: Any, expected: list[int]) -> None:
        starts = [START * 1000, END * 1000 - 1, END * 1000, END * 1000 + 999, END * 1000 + 1000]
        records = [{"callId": str(n), "startTime": start} for n, start in enumerate([*starts, START * 1000 - 1])]
        with Emulator(call_center=records, end_time=end_time, order="ascending") as emulator:
            assert [int(record["callId"]) for record in records_of(emulator, "call_center")] == expected

    @pytest.mark.parametrize(
        ("date_of", "date", "found"),
        [
            ("start", "2023-07-01", [1]),
            ("start", "2023-07-02", []),
            ("end", "2023-07-01", []),
            ("end", "2023-07-02", [1]),
        ],
    )
    def test_readings_of_did_date(self, date_of: Any, date: str, found: list[int]) -> None:
        record = {"id": 1, "startTime": "2023-07-01 23:59:00", "endTime": "2023-07-02 00:01:00"}
        with Emulator(did=[record], did_date_of=date_of) as emulator:
            assert [record["id"] for record in records_of(emulator, "did", date=date)] == found
            assert emulator.did_cdrs(START, END) == [record]

    def test_days_are_filled_when_asked_for(self) -> None:
        with Emulator(call_center_per_day=40, did_per_day=30, seed=9) as emulator:
            expected = [
                record
                for n in (0, 1)
                for record in generate_call_center_cdrs(DAY + datetime.timedelta(days=n), 40, seed=9)
            ]
            assert records_of(emulator, "call_center", endTime=END + 86400) == expected[::-1]
            assert emulator.call_center_cdrs(START, END + 86400) == expected
            did = generate_did_cdrs(DAY, 30, seed=9)
            assert records_of(emulator, "did") == emulator.did_cdrs(START, END)[::-1]
            assert emulator.did_cdrs(START, END) == did

    def test_filled_days_by_end_bring_in_the_day_before(self) -> None:
        with Emulator(did_per_day=50, did_date_of="end") as emulator:
            found = records_of(emulator, "did", date="2023-07-02")
            assert any(record["startTime"].startswith("2023-07-01") for record in found)
            assert all(record["endTime"].startswith("2023-07-02") for record in found)

    def test_another_timezone(self) -> None:
        with Emulator(call_center_per_day=10, did_per_day=10, timezone="America/New_York") as emulator:
            start = datetime.datetime(2023, 7, 1, tzinfo=ZoneInfo("America/New_York")).timestamp()
            assert len(emulator.did_cdrs(start, start + 86400)) == 10
            assert len(emulator.call_center_cdrs(start, start + 86400)) == 10
            assert len(records_of(emulator, "did")) == 10

    def test_changes_show_at_once(self, emulator: Emulator) -> None:
        truth = emulator.call_center_cdrs(START, END)
        assert records_of(emulator, "call_center", size=1) == [truth[-1]]
        emulator.remove("call_center", truth[-1]["callId"])
        assert records_of(emulator, "call_center", size=1) == [truth[-2]]
        late = {**truth[-1], "callId": "late", "unheard_of": [1]}
        emulator.insert("call_center", late)
        assert records_of(emulator, "call_center", size=1) == [late]
        emulator.insert("call_center", {**late, "callDuration": 7})
        assert records_of(emulator, "call_center", size=2) == [{**late, "callDuration": 7}, truth[-2]]
        with pytest.raises(KeyError):
            emulator.remove("call_center", "no such call")

    def test_a_record_put_in_beforehand_stands(self) -> None:
        corrected = {**generate_did_cdrs(DAY, 5)[2], "callDuration": 1}
        with Emulator(did_per_day=5) as emulator:
            emulator.insert("did", corrected)
            found = records_of(emulator, "did")
            assert len(found) == 5
            assert corrected in found
            assert found == emulator.did_cdrs(START, END)[::-1]

    def test_records_without_a_key(self) -> None:
        records = [{"startTime": "2023-07-01 10:00:00", "endTime": "2023-07-01 10:00:00"}] * 2
        with Emulator(did=records) as emulator:
            assert records_of(emulator, "did") == records


class TestStatistics:
    def test_requests(self, emulator: Emulator) -> None:
        before = time.monotonic()
        answer = send(emulator, "call_center", page=2).json()
        send(emulator, "did", page=0)
        first, second = emulator.requests
        assert before < first.time < second.time < time.monotonic()
        assert (first.endpoint, first.page, first.status, first.code) == ("call_center", 2, 200, 0)
        assert first.body == {**BODIES["call_center"], "page": 2}
        assert first.headers["biztype"] == "8"
        assert first.request_id == answer["reqId"]
        assert (second.endpoint, second.page, second.status, second.code) == ("did", 0, 200, 1002)
        assert emulator.statistics()["endpoints"] == {"call_center": 1, "did": 1}
        emulator.reset_statistics()
        assert emulator.requests == []
        assert emulator.max_requests_in_one_second == emulator.max_in_flight == 0

    def test_requests_at_a_time(self) -> None:
        with Emulator(latency=0.2) as emulator:
            threads = [threading.Thread(target=send, args=(emulator, "did")) for _ in range(4)]
            started = time.monotonic()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert time.monotonic() - started < 0.7
            assert emulator.max_in_flight == 4
            assert emulator.max_requests_in_one_second == 4
            send(emulator, "did")
            assert emulator.max_in_flight == 4

    def test_a_client_that_gives_up_is_no_longer_in_flight(self, emulator: Emulator) -> None:
        emulator.add_fault(Fault("latency", seconds=30))
        with requests.Session() as session, pytest.raises(requests.ReadTimeout):
            session.send(request_of(emulator, "did"), timeout=0.05)
        time.sleep(0.05)
        send(emulator, "did")
        assert emulator.max_in_flight == 1
        assert [request.status for request in emulator.requests] == [200, 200]

    def test_only_so_many_requests_are_kept(self) -> None:
        with Emulator(kept_requests=2) as emulator:
            for page in (1, 2, 3):
                send(emulator, "did", page=page)
            assert [request.page for request in emulator.requests] == [2, 3]
            assert emulator.statistics()["requests"] == 3

    def test_max_rate(self) -> None:
        with Emulator(max_rate=3) as emulator:
            responses = [send(emulator, "did") for _ in range(5)]
            assert [response.status_code for response in responses] == [200, 200, 200, 429, 429]
            assert responses[-1].headers["Retry-After"] == "1"
            time.sleep(1)
            assert send(emulator, "did").status_code == 200

    def test_max_rate_below_one_a_second(self) -> None:
        with Emulator(max_rate=0.5) as emulator:
            assert [send(emulator, "did").status_code for _ in range(2)] == [200, 429]


class TestFaults:
    def test_strike_the_requests_they_are_meant_for(self, emulator: Emulator) -> None:
        emulator.add_fault(Fault("status", endpoint="did", page=2, after=1, times=2, status=503))
        assert send(emulator, "call_center", page=2).status_code == 200
        assert send(emulator, "did", page=1).status_code == 200
        statuses = [send(emulator, "did", pageSize=10, page=2).status_code for _ in range(5)]
        assert statuses == [200, 503, 503, 200, 200]
        assert [request.status for request in emulator.requests][2:] == statuses

    def test_for_good_until_cleared(self, emulator: Emulator) -> None:
        emulator.add_fault(Fault("status", times=None))
        assert {send(emulator, "did").status_code for _ in range(4)} == {502}
        emulator.clear_faults()
        assert send(emulator, "did").status_code == 200

    @pytest.mark.parametrize("fields", [{"kind": "rain"}, {"kind": "reset", "endpoint": "callcenter"}])
    def test_unknown(self, fields: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="unknown"):
            Fault(**fields)

    def test_latency(self, emulator: Emulator) -> None:
        emulator.add_fault(Fault("latency", seconds=0.2))
        times = [send(emulator, "did").elapsed.total_seconds() for _ in range(2)]
        assert times[0] >= 0.2 > times[1]

    @pytest.mark.parametrize(("retry_after", "expected"), [(7, "7"), (0.5, "0.5"), (None, None)])
    def test_rate_limit(self, emulator: Emulator, retry_after: Any, expected: str | None) -> None:
        emulator.add_fault(Fault("rate_limit", retry_after=retry_after))
        response = send(emulator, "did")
        assert response.status_code == 429
        assert response.headers.get("Retry-After") == expected

    def test_rate_limit_with_a_date(self, emulator: Emulator) -> None:
        emulator.add_fault(Fault("rate_limit", retry_after="date", seconds=30))
        headers = send(emulator, "did").headers
        later, now = (email.utils.parsedate_to_datetime(headers[name]) for name in ("Retry-After", "Date"))
        assert 29 <= (later - now).total_seconds() <= 31

    @pytest.mark.parametrize("status", [500, 502, 503, 418, 599])
    def test_status(self, emulator: Emulator, status: int) -> None:
        emulator.add_fault(Fault("status", status=status))
        assert send(emulator, "call_center").status_code == status

    def test_reset(self, emulator: Emulator) -> None:
        emulator.add_fault(Fault("reset"))
        with socket.create_connection(("127.0.0.1", emulator.port), timeout=5) as connection:
            connection.sendall(wire(request_of(emulator, "call_center")))
            with pytest.raises(ConnectionResetError):
                receive_all(connection)

    def test_close(self, emulator: Emulator) -> None:
        emulator.add_fault(Fault("close"))
        assert exchange_bytes(emulator, wire(request_of(emulator, "call_center"))) == b""
        assert (emulator.requests[0].status, emulator.requests[0].code) == (0, None)

    def test_truncate(self, emulator: Emulator) -> None:
        emulator.add_fault(Fault("truncate"))
        head, _, body = exchange_bytes(emulator, wire(request_of(emulator, "call_center"))).partition(b"\r\n\r\n")
        length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
        assert len(body) == length // 2

    def test_truncate_json(self, emulator: Emulator) -> None:
        emulator.add_fault(Fault("truncate_json"))
        response = send(emulator, "call_center")
        assert response.status_code == 200
        with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
            response.json()

    def test_not_json(self, emulator: Emulator) -> None:
        emulator.add_fault(Fault("not_json"))
        response = send(emulator, "call_center")
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("text/html")
        assert response.text.startswith("<!DOCTYPE html>")

    def test_drip(self, emulator: Emulator) -> None:
        emulator.add_fault(Fault("drip", seconds=0.002))
        response = send(emulator, "did", page=0)
        assert response.json()["code"] == 1002
        assert response.elapsed.total_seconds() < 0.05  # to the headers; the body takes its time
        with socket.create_connection(("127.0.0.1", emulator.port), timeout=5) as connection:
            emulator.add_fault(Fault("drip", seconds=0.05))
            connection.sendall(wire(request_of(emulator, "did", page=0)))
            parts = [connection.recv(65536) for _ in range(4)]
        assert [len(part) for part in parts[2:]] == [1, 1]

    @pytest.mark.parametrize(("endpoint", "data"), [("call_center", {}), ("did", None)])
    def test_error_code(self, emulator: Emulator, endpoint: str, data: Any) -> None:
        emulator.add_fault(Fault("error_code", code=88, message="Request failed"))
        answer = send(emulator, endpoint).json()
        assert answer["code"] == emulator.requests[0].code == 88
        assert answer["data"] == data
        assert answer["msg" if endpoint == "call_center" else "message"] == "Request failed"

    def test_clock(self, emulator: Emulator) -> None:
        emulator.add_fault(Fault("clock", after=1, seconds=-120))
        assert [code_of(emulator) for _ in range(3)] == [0, 1004, 1004]
        emulator.clock_offset = 0.0
        assert code_of(emulator) == 0

    @pytest.mark.parametrize("status", [None, 307, 308])
    def test_redirect(self, emulator: Emulator, status: int | None) -> None:
        emulator.add_fault(Fault("redirect", status=status, location="https://example.com/login"))
        response = send(emulator, "did")
        assert response.status_code == (status or 302)
        assert response.headers["Location"] == "https://example.com/login"

    def test_insert_between_pages(self, emulator: Emulator) -> None:
        truth = emulator.call_center_cdrs(START, END)
        emulator.add_fault(Fault("insert", page=2, record={**truth[-1], "callId": "late"}))
        found = [record["callId"] for record in all_records(emulator, "call_center", 100)]
        assert len(found) == 251
        assert found[99] == found[100]
        assert "late" not in found

    @pytest.mark.parametrize("by_key", [False, True])
    def test_remove_between_pages(self, emulator: Emulator, by_key: bool) -> None:
        newest_first = [record["id"] for record in emulator.did_cdrs(START, END)[::-1]]
        emulator.add_fault(Fault("remove", endpoint="did", page=2, key=newest_first[0] if by_key else None))
        found = [record["id"] for record in all_records(emulator, "did", 50)]
        assert found == newest_first[:50] + newest_first[51:]

    def test_serve_page(self, emulator: Emulator) -> None:
        emulator.add_fault(Fault("serve_page", page=2, other_page=1))
        first, again, second = (records_of(emulator, "call_center", page=page) for page in (1, 2, 2))
        assert first == again != second

    def test_short_page(self, emulator: Emulator) -> None:
        emulator.add_fault(Fault("short_page", page=1, records=30))
        short, whole = (records_of(emulator, "call_center") for _ in range(2))
        assert short == whole[:70]
        emulator.add_fault(Fault("short_page", records=1000))
        data = send(emulator, "did").json()["data"]
        assert (data["totalRow"], data["list"]) == (120, [])

    @pytest.mark.parametrize("payload", [None, [], "text", 7, {"code": "0"}])
    def test_misshapen(self, emulator: Emulator, payload: Any) -> None:
        emulator.add_fault(Fault("misshapen", payload=payload))
        assert send(emulator, "did").json() == payload

    @pytest.mark.parametrize("payload", [None, {}, "text", [1, None]])
    def test_data(self, emulator: Emulator, payload: Any) -> None:
        emulator.add_fault(Fault("data", payload=payload))
        answer = send(emulator, "call_center").json()
        assert (answer["code"], answer["data"]) == (0, payload)

    def test_total(self, emulator: Emulator) -> None:
        emulator.add_fault(Fault("total", records=30))
        totals = [send(emulator, "did", pageSize=60).json()["data"] for _ in range(2)]
        assert [(data["totalRow"], data["totalPage"]) for data in totals] == [(150, 3), (120, 2)]

    @pytest.mark.parametrize("endpoint", ["call_center", "did"])
    def test_oversize(self, emulator: Emulator, endpoint: str) -> None:
        emulator.add_fault(Fault("oversize", size=3_000_000))
        response = send(emulator, endpoint)
        assert len(response.content) == 3_000_000
        assert response.json()["code"] == 0

    def test_several_at_once(self, emulator: Emulator) -> None:
        emulator.add_fault(Fault("latency", seconds=0.1))
        emulator.add_fault(Fault("status", status=504))
        response = send(emulator, "did")
        assert response.status_code == 504
        assert response.elapsed.total_seconds() >= 0.1


class TestControl:
    def test_statistics(self, emulator: Emulator) -> None:
        send(emulator, "did")
        assert requests.get(f"{emulator.url}/_emulator/statistics", timeout=5).json() == {
            "requests": 1,
            "max_in_flight": 1,
            "max_requests_in_one_second": 1,
            "endpoints": {"did": 1},
        }
        requests.post(f"{emulator.url}/_emulator/reset", timeout=5)
        assert emulator.statistics()["requests"] == 0

    def test_faults(self, emulator: Emulator) -> None:
        url = f"{emulator.url}/_emulator/faults"
        wanted = [{"kind": "status", "status": 503, "times": None}, {"kind": "latency", "seconds": 0.01}]
        assert requests.post(url, json=wanted, timeout=5).status_code == 200
        assert send(emulator, "did").status_code == 503
        assert requests.delete(url, timeout=5).status_code == 200
        assert send(emulator, "did").status_code == 200

    @pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b'[{"kind":"rain"}]', b'[{"kind":"reset","wind":1}]'])
    def test_wrong_faults(self, emulator: Emulator, body: bytes) -> None:
        url = f"{emulator.url}/_emulator/faults"
        expected = 200 if body == b"{}" else 400
        assert requests.post(url, data=body, timeout=5).status_code == expected
        assert send(emulator, "did").status_code == 200

    @pytest.mark.parametrize("endpoint", ["call_center", "did"])
    def test_records(self, emulator: Emulator, endpoint: str) -> None:
        truth = {"call_center": emulator.call_center_cdrs, "did": emulator.did_cdrs}[endpoint](START, END)
        url = f"{emulator.url}/_emulator/records/{endpoint}"
        lines = requests.get(url, params={"start": START, "end": END}, timeout=5).content.splitlines()
        assert lines == [emulator.json_of(endpoint, record) for record in truth]
        assert requests.get(url, timeout=5).status_code == 400

    def test_unknown(self, emulator: Emulator) -> None:
        assert requests.get(f"{emulator.url}/_emulator/weather", timeout=5).status_code == 404


class TestCommand:
    @pytest.mark.parametrize("stop_signal", [signal.SIGTERM, signal.SIGINT])
    def test_serves_until_told_to_stop(self, stop_signal: signal.Signals) -> None:
        command = [sys.executable, "-m", "tests.emulator", "--did-per-day", "8", "--access-secret", "spoken"]
        command += ["--latency-ms", "10", "--cpu", str(min(os.sched_getaffinity(0))), "--order", "ascending"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("NXCloud emulator ready on http://127.0.0.1:")
            elsewhere = Emulator(port=int(line.rsplit(":", 1)[1]), access_secret="spoken")
            assert records_of(elsewhere, "did") == generate_did_cdrs(DAY, 8)
            process.send_signal(stop_signal)
            assert process.wait(timeout=5) == 0
            assert process.stdout.read() == ""

    def test_help(self) -> None:
        command = [sys.executable, "-m", "tests.emulator", "--help"]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert "--call-center-per-day" in shown
