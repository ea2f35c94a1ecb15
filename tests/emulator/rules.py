"""What the server demands of a request, in the order in which it looks."""

import datetime
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tests.emulator.endpoints import CALL_CENTER, Endpoint
from tests.emulator.placement import wall_clock_milliseconds
from tests.emulator.store import Filter, Query

EndTime = Literal["exclusive", "inclusive", "inclusive_seconds"]

_COMMON_HEADERS = ("accesskey", "ts", "biztype", "action", "sign")
_TIMESTAMP_TOLERANCE = 60_000
_DIGESTS: dict[str, Callable[[bytes], Any]] = {"md5": hashlib.md5, "sha256": hashlib.sha256}
_LAST_SECOND = 32_503_680_000  # the end of the year 2999: a time in milliseconds lies far beyond it
_LARGEST_INTEGER = 2**31 - 1


class RefusalError(Exception):
    """The answer to a request that breaks a rule."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Account:
    """Who may ask, and for what."""

    access_key: str
    access_secret: str
    permitted: Collection[str]


@dataclass(frozen=True, slots=True)
class _Parameter:
    type: type
    required: bool = False
    minimum: int = 0
    maximum: int = _LARGEST_INTEGER
    may_be_empty: bool = False

    def accepts(self, value: Any) -> bool:
        if type(value) is not self.type:  # a boolean is an int to isinstance
            return False
        if isinstance(value, int):
            return self.minimum <= value <= self.maximum
        return self.may_be_empty or value != ""


_PARAMETERS: dict[str, dict[str, _Parameter]] = {
    "call_center": {
        "startTime": _Parameter(int, required=True, maximum=_LAST_SECOND),
        "endTime": _Parameter(int, required=True, maximum=_LAST_SECOND),
        "answered": _Parameter(int, maximum=2),
        "direction": _Parameter(int, maximum=3),
        "name": _Parameter(str),
        "caller": _Parameter(str),
        "callee": _Parameter(str),
        "callId": _Parameter(str),
        "orderId": _Parameter(str),
        "size": _Parameter(int, required=True, minimum=1, maximum=100),
        "page": _Parameter(int, required=True, minimum=1),
    },
    "did": {
        "date": _Parameter(str, required=True),
        "didNumber": _Parameter(str, may_be_empty=True),
        "callNumber": _Parameter(str, may_be_empty=True),
        "type": _Parameter(int, maximum=1),
        "pageSize": _Parameter(int, required=True, minimum=1, maximum=999),
        "page": _Parameter(int, required=True, minimum=1),
    },
}

_CALL_CENTER_FILTERS = {
    "name": "agentName",
    "caller": "caller",
    "callee": "callee",
    "callId": "callId",
    "orderId": "orderId",
}
_DID_FILTERS = {"didNumber": "number", "callNumber": "callNumber", "type": "callType"}


def signature(headers: Mapping[str, str], body: bytes, access_secret: str) -> str:
    """Return the signature that belongs to a request, given its headers under lower-case names."""
    common = f"accessKey={headers['accesskey']}&action={headers['action']}&bizType={headers['biztype']}"
    signed_body = b"&body=" + body if body else b""
    text = f"{common}&ts={headers['ts']}".encode() + signed_body + f"&accessSecret={access_secret}".encode()
    digest: str = _DIGESTS[headers.get("algorithm", "md5")](text).hexdigest()
    return digest


def parse_body(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object that a body holds, or None if it holds anything else."""
    try:
        value = json.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def check_headers(endpoint: Endpoint, headers: Mapping[str, str], body: bytes, account: Account, now: float) -> None:
    """Refuse a request that is not signed by someone permitted to make it; `now` is in epoch seconds."""
    if not all(headers.get(name) for name in _COMMON_HEADERS):
        raise RefusalError(1001, "A common header is missing")
    if headers["accesskey"] != account.access_key:
        raise RefusalError(1005, "Unknown access key")
    if not _is_current(headers["ts"], now):
        raise RefusalError(1004, "Timestamp expired")
    if headers.get("algorithm", "md5") not in _DIGESTS:
        raise RefusalError(1002, "Unknown algorithm")
    if not hmac.compare_digest(headers["sign"].encode(), signature(headers, body, account.access_secret).encode()):
        raise RefusalError(1003, "Invalid signature")
    if (headers["biztype"], headers["action"]) != (endpoint.biz_type, endpoint.action):
        raise RefusalError(1002, "Wrong bizType or action")
    if endpoint.name not in account.permitted:
        raise RefusalError(1005, "No permission for this business")
    if not _is_json(headers.get("content-type", "")):
        raise RefusalError(1002, "Wrong content type")


def check_body(endpoint: Endpoint, body: dict[str, Any] | None, end_time: EndTime) -> Query:
    """Return the query that a body asks for, or refuse it."""
    if body is None:
        raise _parameter_error()
    if endpoint is CALL_CENTER:
        if "endTime" not in body:
            raise RefusalError(41000, "End date cannot be empty")
        _check_parameters(endpoint, body)
        return _call_center_query(body, end_time)
    _check_parameters(endpoint, body)
    return _did_query(body)


def _is_current(timestamp: str, now: float) -> bool:
    return (
        re.fullmatch("[0-9]{1,15}", timestamp) is not None and abs(int(timestamp) - now * 1000) <= _TIMESTAMP_TOLERANCE
    )


def _is_json(content_type: str) -> bool:
    return content_type.lower().startswith("application/json")


def _parameter_error() -> RefusalError:
    return RefusalError(1002, "Parameter error")


def _check_parameters(endpoint: Endpoint, body: dict[str, Any]) -> None:
    parameters = _PARAMETERS[endpoint.name]
    for name, value in body.items():
        if name not in parameters or not parameters[name].accepts(value):
            raise _parameter_error()
    if any(parameter.required and name not in body for name, parameter in parameters.items()):
        raise _parameter_error()


def _call_center_query(body: dict[str, Any], end_time: EndTime) -> Query:
    start, end = body["startTime"], body["endTime"]
    if end < start:
        raise _parameter_error()
    filters = _filters(body, _CALL_CENTER_FILTERS)
    if body.get("answered", 0):
        filters.append(("answered", body["answered"] == 2))
    if body.get("direction", 0):
        filters.append(("direction", body["direction"] - 1))
    return Query(
        start=start * 1000,
        end=_end_milliseconds(end, end_time),
        filters=tuple(filters),
        page=body["page"],
        size=body["size"],
    )


def _end_milliseconds(end: int, end_time: EndTime) -> int:
    """Return the first millisecond that no longer belongs to the range."""
    first_beyond = {"exclusive": 0, "inclusive": 1, "inclusive_seconds": 1000}[end_time]
    return end * 1000 + first_beyond


def _did_query(body: dict[str, Any]) -> Query:
    start = wall_clock_milliseconds(_day(body["date"]).isoformat())
    return Query(
        start=start,
        end=start + 86_400_000,
        filters=tuple(_filters(body, _DID_FILTERS)),
        page=body["page"],
        size=body["pageSize"],
    )


def _day(text: str) -> datetime.date:
    if not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise _parameter_error()
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise _parameter_error() from None


def _filters(body: dict[str, Any], fields: dict[str, str]) -> list[Filter]:
    return [(field, body[name]) for name, field in fields.items() if body.get(name, "") != ""]
