"""Faults: what can be made to go wrong, for which requests, and how often."""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Literal, get_args

from tests.emulator.answers import Answers
from tests.emulator.clock import Clock
from tests.emulator.connection import Delivery
from tests.emulator.endpoints import BY_NAME, Endpoint
from tests.emulator.records import Record
from tests.emulator.store import Query, RecordSet

Kind = Literal[
    "cached",
    "clock",
    "close",
    "data",
    "drip",
    "error_code",
    "insert",
    "latency",
    "misshapen",
    "not_json",
    "outage",
    "oversize",
    "rate_limit",
    "redirect",
    "remove",
    "reset",
    "serve_page",
    "short_page",
    "stale_total",
    "status",
    "total",
    "truncate",
    "truncate_json",
]
Phase = Literal["arrival", "query", "answer"]

_HTML = b"<!DOCTYPE html>\n<html><head><title>Maintenance</title></head><body>Back soon</body></html>\n"


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong with some requests.

    It looks at the requests of `endpoint` for `page` (None: any), lets the first `after` of them pass, and
    then strikes `times` times (None: always). The other fields belong to the kinds named beside them.

    Three kinds last. An `outage` strikes once: for `seconds` from then on, all pages of the endpoint are empty.
    `cached` answers each page query with the bytes of its first strike on it, and `stale_total` each query with
    the total that it had, or with `total`; `times=None` keeps them up.
    """

    kind: Kind
    endpoint: str | None = None
    page: int | None = None
    after: int = 0
    times: int | None = 1
    seconds: float = 1.0  # latency; outage; drip, between bytes; clock, its offset; rate_limit, ahead of a date
    retry_after: float | Literal["date"] | None = None  # rate_limit: None sends no header
    status: int | None = None  # status: 502 unless given; redirect: 302 unless given
    location: str = "https://example.com/elsewhere"  # redirect
    code: int = 99  # error_code
    message: str = "System error"  # error_code
    record: Record | None = None  # insert
    key: Any = None  # remove; None takes the first record in the query's order
    other_page: int = 1  # serve_page
    records: int = 1  # short_page, total
    total: int | None = None  # stale_total
    payload: Any = None  # misshapen, data: any JSON value
    size: int = 1 << 20  # oversize, in bytes

    def __post_init__(self) -> None:
        """Refuse a kind or an endpoint that there is not."""
        if self.kind not in get_args(Kind):
            raise ValueError(f"unknown kind of fault: {self.kind}")
        if self.endpoint not in (None, *BY_NAME):
            raise ValueError(f"unknown endpoint: {self.endpoint}")


@dataclass(slots=True)
class Exchange:
    """One request on the way to its answer, open to faults."""

    endpoint: Endpoint
    request_id: str
    records: RecordSet
    answers: Answers
    clock: Clock
    delay: float
    query: Query | None = None
    omitted: int = 0
    extra_rows: int = 0
    total: int | None = None
    status: int = 200
    code: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    delivery: Delivery = "whole"
    pace: float = 0.0
    memory: dict[Any, Any] = field(default_factory=dict)  # what the fault that acts has kept since it first struck

    def fill(self, body: bytes, *, status: int = 200, content_type: str = "application/json") -> None:
        """Put another answer in place of the proper one."""
        self.status, self.code, self.body = status, None, body
        self.headers["Content-Type"] = content_type


class FaultList:
    """The faults in force."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._faults: list[FaultInForce] = []

    def add(self, fault: Fault) -> None:
        """Put a fault in force."""
        with self._lock:
            self._faults.append(FaultInForce(fault))

    def clear(self) -> None:
        """Lift all faults."""
        with self._lock:
            self._faults.clear()

    def striking(self, endpoint: str, page: int | None) -> "list[FaultInForce]":
        """Return the faults that strike this request, and count it."""
        if not self._faults:
            return []
        with self._lock:
            return [fault for fault in self._faults if fault.strikes(endpoint, page)]


@dataclass(slots=True)
class FaultInForce:
    """A fault of a server, and what has become of it so far."""

    fault: Fault
    matches: int = 0
    over_at: float | None = None  # outage
    memory: dict[Any, Any] = field(default_factory=dict)

    def strikes(self, endpoint: str, page: int | None) -> bool:
        """Return whether the fault strikes a request, and count it."""
        fault = self.fault
        if fault.endpoint not in (None, endpoint):
            return False
        if self.over_at is not None:
            return time.monotonic() < self.over_at
        if fault.page not in (None, page):
            return False
        self.matches += 1
        struck = self.matches - fault.after
        strikes = struck > 0 and (fault.times is None or struck <= fault.times)
        if strikes and fault.kind == "outage":
            self.over_at = time.monotonic() + fault.seconds
        return strikes


def apply(faults: Iterable[FaultInForce], phase: Phase, exchange: Exchange) -> None:
    """Let the faults of one phase act on an exchange, in the order in which they were added."""
    for in_force in faults:
        fault_phase, act = _ACTIONS[in_force.fault.kind]
        if fault_phase == phase:
            exchange.memory = in_force.memory
            act(in_force.fault, exchange)


def _latency(fault: Fault, exchange: Exchange) -> None:
    exchange.delay += float(fault.seconds)


def _clock(fault: Fault, exchange: Exchange) -> None:
    exchange.clock.offset = float(fault.seconds)


def _insert(fault: Fault, exchange: Exchange) -> None:
    if fault.record is None:
        raise ValueError("an insert fault needs a record")
    exchange.records.insert(fault.record)


def _remove(fault: Fault, exchange: Exchange) -> None:
    if fault.key is not None:
        exchange.records.remove(fault.key)
    elif exchange.query and (selection := exchange.records.select(exchange.query)):
        exchange.records.remove(selection[0].key)


def _serve_page(fault: Fault, exchange: Exchange) -> None:
    if exchange.query:
        exchange.query = exchange.query._replace(page=fault.other_page)


def _short_page(fault: Fault, exchange: Exchange) -> None:
    exchange.omitted += fault.records


def _total(fault: Fault, exchange: Exchange) -> None:
    exchange.extra_rows += fault.records


def _outage(_: Fault, exchange: Exchange) -> None:
    if exchange.query:
        exchange.query = exchange.query._replace(end=exchange.query.start)


def _stale_total(fault: Fault, exchange: Exchange) -> None:
    if exchange.query:
        if fault.total is None:
            known = exchange.query._replace(page=1, size=1)
            exchange.total = exchange.memory.setdefault(known, exchange.answers.total(exchange.records, known))
        else:
            exchange.total = fault.total


def _cached(_: Fault, exchange: Exchange) -> None:
    if exchange.query:
        exchange.body = exchange.memory.setdefault((exchange.endpoint, exchange.query), exchange.body)


def _data(fault: Fault, exchange: Exchange) -> None:
    endpoint = exchange.endpoint
    exchange.code = 0
    exchange.body = exchange.answers.envelope(endpoint, exchange.request_id, 0, endpoint.success_message, fault.payload)


def _error_code(fault: Fault, exchange: Exchange) -> None:
    endpoint = exchange.endpoint
    exchange.code = fault.code
    exchange.body = exchange.answers.envelope(
        endpoint, exchange.request_id, fault.code, fault.message, endpoint.failure_data
    )


def _misshapen(fault: Fault, exchange: Exchange) -> None:
    exchange.fill(exchange.answers.value(fault.payload))


def _not_json(_: Fault, exchange: Exchange) -> None:
    exchange.fill(_HTML, content_type="text/html; charset=utf-8")


def _truncate_json(_: Fault, exchange: Exchange) -> None:
    exchange.fill(exchange.body[: len(exchange.body) // 2])


def _oversize(fault: Fault, exchange: Exchange) -> None:
    endpoint = exchange.endpoint
    start = f'{{"code":0,"data":{"[]" if endpoint.has_request_id else "null"},"{endpoint.message_field}":"'
    exchange.fill(start.encode() + b"x" * (fault.size - len(start) - 2) + b'"}')


def _status(fault: Fault, exchange: Exchange) -> None:
    exchange.fill(_HTML, status=fault.status or 502, content_type="text/html; charset=utf-8")


def _redirect(fault: Fault, exchange: Exchange) -> None:
    exchange.fill(b"", status=fault.status or 302, content_type="text/html; charset=utf-8")
    exchange.headers["Location"] = fault.location


def _rate_limit(fault: Fault, exchange: Exchange) -> None:
    exchange.fill(b"Too many requests\n", status=429, content_type="text/plain")
    if fault.retry_after == "date":
        exchange.headers["Retry-After"] = exchange.clock.http_date(math.ceil(fault.seconds))
    elif fault.retry_after is not None:
        exchange.headers["Retry-After"] = f"{fault.retry_after:g}"


def _drip(fault: Fault, exchange: Exchange) -> None:
    exchange.delivery, exchange.pace = "drip", float(fault.seconds)


def _reset(_: Fault, exchange: Exchange) -> None:
    exchange.delivery = "reset"


def _close(_: Fault, exchange: Exchange) -> None:
    exchange.delivery, exchange.status, exchange.code = "close", 0, None


def _truncate(_: Fault, exchange: Exchange) -> None:
    exchange.delivery = "truncate"


_ACTIONS: dict[Kind, tuple[Phase, Callable[[Fault, Exchange], None]]] = {
    "clock": ("arrival", _clock),
    "latency": ("arrival", _latency),
    "insert": ("query", _insert),
    "remove": ("query", _remove),
    "serve_page": ("query", _serve_page),
    "short_page": ("query", _short_page),
    "total": ("query", _total),
    "outage": ("query", _outage),
    "stale_total": ("query", _stale_total),
    "cached": ("answer", _cached),
    "data": ("answer", _data),
    "misshapen": ("answer", _misshapen),
    "error_code": ("answer", _error_code),
    "not_json": ("answer", _not_json),
    "truncate_json": ("answer", _truncate_json),
    "oversize": ("answer", _oversize),
    "status": ("answer", _status),
    "redirect": ("answer", _redirect),
    "rate_limit": ("answer", _rate_limit),
    "drip": ("answer", _drip),
    "reset": ("answer", _reset),
    "close": ("answer", _close),
    "truncate": ("answer", _truncate),
}
