"""The hook: what it reads from a Connection, its iterators, and its connection test."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import redact

from airflow_provider_nxcloud.hooks.nxcloud import NXCloudHook
from tests.conftest import DAY, DAY_END, DAY_START
from tests.emulator import Emulator, Fault, generate_call_center_cdrs, generate_did_cdrs

Start = Callable[..., Emulator]
Connect = Callable[..., str]


@pytest.fixture
def define(monkeypatch: pytest.MonkeyPatch) -> Callable[..., NXCloudHook]:
    """Return a function that defines a Connection and returns its hook."""

    def define_connection(**fields: Any) -> NXCloudHook:
        whole = {"conn_type": "nxcloud", "login": "a-key", "password": "a-secret", **fields}
        monkeypatch.setenv("AIRFLOW_CONN_NXCLOUD_DEFAULT", json.dumps(whole))
        return NXCloudHook()

    return define_connection


def test_defaults(define: Callable[..., NXCloudHook]) -> None:
    hook = define()
    assert hook.get_conn().base_url == "https://api2.nxcloud.com"
    assert str(hook.timezone) == "Asia/Shanghai"
    assert hook.settings.timeout == 30
    assert hook.settings.requests_per_second is None
    assert hook.settings.verify is True


def test_every_extra_field_is_read(define: Callable[..., NXCloudHook]) -> None:
    settings = define(
        host="https://api-hk.nxlink.ai/",
        extra={
            "algorithm": "sha256",
            "timezone": "America/Santiago",
            "requests_per_second": "2.5",
            "timeout": 12,
            "verify": "/etc/ssl/own.pem",
            "proxies": '{"https": "http://proxy.example.com:3128"}',
            "redaction_key": "an-invented-key-4d",
        },
    ).settings
    assert settings.algorithm == "sha256"
    assert str(settings.timezone) == "America/Santiago"
    assert settings.requests_per_second == 2.5
    assert settings.timeout == 12
    assert settings.verify == "/etc/ssl/own.pem"
    assert settings.proxies == {"https": "http://proxy.example.com:3128"}
    assert settings.redaction_key == "an-invented-key-4d"
    assert "an-invented-key-4d" not in repr(settings)


def test_the_redaction_key_is_masked(define: Callable[..., NXCloudHook]) -> None:
    key = "an-invented-key-0e"
    assert redact(f"its key is {key}") == f"its key is {key}"
    assert define(extra={"redaction_key": key}).settings.redaction_key == key
    assert redact(f"its key is {key}") == "its key is ***"


def test_empty_fields_of_the_form_take_their_default(define: Callable[..., NXCloudHook]) -> None:
    names = ("algorithm", "timezone", "timeout", "verify", "proxies", "redaction_key")
    empty = define(host="", extra=dict.fromkeys(names, ""))
    default = define()
    assert empty.settings == default.settings


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"login": ""}, "accessKey"),
        ({"password": None}, "accessSecret"),
        ({"extra": {"algorithm": "sha1"}}, "'sha1' is none of md5, sha256"),
        ({"extra": {"timezone": "Asia/Nowhere"}}, "'Asia/Nowhere' is no IANA time zone"),
        ({"extra": {"timeout": "soon"}}, "extra 'timeout' is wrong: 'soon' is not a number"),
        ({"extra": {"timeout": 0}}, "timeout must be above 0"),
        ({"extra": {"requests_per_second": -1}}, "requests_per_second must be above 0"),
        ({"extra": {"verify": False}}, "cannot be switched off"),
        ({"extra": {"verify": "false"}}, "cannot be switched off"),
        ({"extra": {"proxies": "[]"}}, "JSON object"),
        ({"extra": {"redaction_key": "a-secret-too-sho"[:15]}}, "'redaction_key' is wrong: .* at least 16 characters"),
        ({"extra": {"redaction_key": 10**20}}, "must be text of at least 16 characters, .*secrets.token_urlsafe"),
        ({"host": "http://api2.nxcloud.com"}, "https://"),
        ({"host": "https://key:secret@api2.nxcloud.com"}, "credentials"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], message: str, define: Callable[..., NXCloudHook]) -> None:
    hook = define(**fields)
    with pytest.raises(ValueError, match=message) as raised:
        hook.get_conn()
    assert "a-secret" not in str(raised.value)
    ok, text = hook.test_connection()
    assert not ok
    assert text == str(raised.value)


def test_an_unknown_extra_field_is_reported(
    define: Callable[..., NXCloudHook], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        define(extra={"request_per_second": 1}).get_conn()
    assert "'request_per_second' is unknown" in caplog.text


def test_a_connection_by_uri(monkeypatch: pytest.MonkeyPatch, emulator: Start) -> None:
    server = emulator()
    uri = f"nxcloud://{server.access_key}:{server.access_secret}@http%3A%2F%2F127.0.0.1:{server.port}/?timeout=5"
    monkeypatch.setenv("AIRFLOW_CONN_NXCLOUD_DEFAULT", uri)
    assert NXCloudHook().test_connection()[0]


def test_iterators_yield_each_record_with_exact_money(emulator: Start, connection: Connect) -> None:
    server = emulator(call_center=generate_call_center_cdrs(DAY, 230), did=generate_did_cdrs(DAY, 230))
    hook = NXCloudHook(connection(server, "another_account"))
    calls = list(hook.iter_call_center_cdrs(DAY_START, DAY_END))
    assert sorted(calls, key=repr) == sorted(server.call_center_cdrs(DAY_START, DAY_END), key=repr)
    dids = list(hook.iter_did_cdrs("2026-03-17", "2026-03-18"))
    assert sorted(dids, key=repr) == sorted(server.did_cdrs(DAY_START, DAY_END), key=repr)
    assert {type(record["callPrice"]) for record in dids} == {Decimal}


def test_iterators_take_filters_and_refuse_unknown_ones(emulator: Start, connection: Connect) -> None:
    server = emulator(did=generate_did_cdrs(DAY, 50))
    hook = NXCloudHook(connection(server))
    assert {record["callType"] for record in hook.iter_did_cdrs(DAY_START, DAY_END, call_type="outgoing")} == {1}
    with pytest.raises(ValueError, match="did_cdr has no filter 'callee'"):
        next(hook.iter_did_cdrs(DAY_START, DAY_END, callee="12025550100"))


def test_iterators_redact(emulator: Start, connection: Connect) -> None:
    server = emulator(call_center=generate_call_center_cdrs(DAY, 30), did=generate_did_cdrs(DAY, 30))
    hook = NXCloudHook(connection(server, redaction_key="an-invented-key-4d"))
    calls = list(hook.iter_call_center_cdrs(DAY_START, DAY_END, redact={"caller": "hash", "callee": "drop"}))
    dids = list(hook.iter_did_cdrs(DAY_START, DAY_END, redact=["callerIp"], call_type="incoming"))
    assert {len(record["caller"]) for record in calls} == {len(record["callerIp"]) for record in dids} == {64}
    assert not any("callee" in record for record in calls)
    with pytest.raises(ValueError, match="no field 'caller'"):
        next(hook.iter_did_cdrs(DAY_START, DAY_END, redact=["caller"]))


def test_iterators_are_lazy(emulator: Start, connection: Connect) -> None:
    server = emulator(call_center=generate_call_center_cdrs(DAY, 50))
    records = NXCloudHook(connection(server)).iter_call_center_cdrs(DAY_START, DAY_END)
    assert server.requests == []
    next(records)
    records.close()  # type: ignore[attr-defined]
    asked = len(server.requests)
    assert asked == 6


@pytest.mark.parametrize(
    ("permitted", "ok"),
    [(("call_center", "did"), True), (("call_center",), True), (("did",), True), ((), False)],
)
def test_the_connection_test_tells_each_endpoints_permission(
    permitted: tuple[str, ...], ok: bool, emulator: Start, connection: Connect
) -> None:
    server = emulator(permitted=permitted)
    result, text = NXCloudHook(connection(server)).test_connection()
    assert result is ok
    for kind in ("call_center", "did"):
        assert (f"{kind}_cdr: permitted" in text) is (kind in permitted)
        assert (f"endpoint {kind}_cdr, code 1005" in text) is (kind not in permitted)
    assert len(server.requests) == 2


def test_the_connection_test_does_not_wait_for_retries(emulator: Start, connection: Connect) -> None:
    server = emulator()
    server.add_fault(Fault("status", status=503, times=None))
    ok, text = NXCloudHook(connection(server)).test_connection()
    assert not ok
    assert "503" in text
    assert len(server.requests) == 2
