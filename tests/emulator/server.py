"""The emulator: an NXCloud server that lives in a thread."""

import asyncio
import logging
import os
from collections.abc import Collection, Iterable
from itertools import cycle
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self
from zoneinfo import ZoneInfo

from tests.emulator import control, endpoints, faults, rules
from tests.emulator.answers import Answers
from tests.emulator.behaviour import USUAL, Behaviour
from tests.emulator.clock import Clock
from tests.emulator.connection import Connection, Request, Response
from tests.emulator.encoding import decode, encode
from tests.emulator.endpoints import CALL_CENTER, DID, Endpoint
from tests.emulator.faults import Exchange, Fault, FaultList
from tests.emulator.limiter import Limiter
from tests.emulator.placement import DidDate, call_center_placement, did_placement
from tests.emulator.records import DEFAULT_TIMEZONE, Record
from tests.emulator.reporting import call_center_report, did_report
from tests.emulator.sorting import Order, Sorting
from tests.emulator.statistics import ReceivedRequest, Statistics
from tests.emulator.store import RecordSet, day_generator

_HOST = "127.0.0.1"
_BACKLOG = 1024
_log = logging.getLogger(__name__)


class Emulator:
    """A stand-in for the NXCloud server, to be used as a context manager.

    It holds the records it is given, and fills every day that a query touches with `call_center_per_day`
    and `did_per_day` generated ones. `end_time`, `order`, `timezone` and `did_date_of` settle what the
    service's own description leaves open, `behaviour` what it does not even mention. `latency` and
    `clock_offset` are in seconds. With `kept_requests`, only so many of the latest requests are kept, while
    the counts go on.
    """

    def __init__(
        self,
        *,
        call_center: Iterable[Record] = (),
        did: Iterable[Record] = (),
        call_center_per_day: int = 0,
        did_per_day: int = 0,
        seed: int = 0,
        access_key: str = "emulator-access-key",
        access_secret: str = "emulator-access-secret",  # noqa: S107 - invented
        permitted: Collection[str] = ("call_center", "did"),
        end_time: rules.EndTime = "exclusive",
        order: Order = "descending",
        timezone: str = DEFAULT_TIMEZONE,
        did_date_of: DidDate = "start",
        behaviour: Behaviour = USUAL,
        latency: float = 0.0,
        clock_offset: float = 0.0,
        pretty: bool = False,
        port: int = 0,
        max_rate: float | None = None,
        kept_requests: int | None = None,
    ) -> None:
        self.port = port
        self.access_key = access_key
        self.access_secret = access_secret
        self.latency = latency
        zone = ZoneInfo(timezone)
        self._account = rules.Account(access_key, access_secret, permitted)
        self._end_time = end_time
        selects_by, stored_grain = behaviour.selects_by, behaviour.stored_grain
        self._records = {
            endpoint.name: RecordSet(
                endpoint.key_field,
                placement,
                records=records,
                generate=day_generator(endpoint, per_day, seed, timezone),
                sorting=Sorting(order, behaviour.sort_grain),
                report=report(behaviour),
            )
            for endpoint, placement, report, records, per_day in (
                (
                    CALL_CENTER,
                    call_center_placement(zone, selects_by, stored_grain),
                    call_center_report,
                    call_center,
                    call_center_per_day,
                ),
                (DID, did_placement(zone, did_date_of), did_report, did, did_per_day),
            )
        }
        self._missing = cycle([frozenset(), *[frozenset(behaviour.lagging)] * (behaviour.replicas - 1)])
        self._clock = Clock(clock_offset)
        self._answers = Answers(behaviour, pretty=pretty)
        self._limiter = Limiter(max_rate) if max_rate is not None else None
        self._faults = FaultList()
        self._statistics = Statistics(kept_requests=kept_requests)
        self._thread: Thread | None = None

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def start(self) -> Self:
        """Begin to listen; after a stop, on the same port as before."""
        self._ready = Event()
        self._start_error: OSError | None = None
        self._thread = Thread(target=asyncio.run, args=(self._serve(),), name="nxcloud-emulator", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._start_error is not None:
            self._thread = None
            raise self._start_error
        return self

    def stop(self) -> None:
        """Stop listening and drop every connection."""
        if self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._thread = None

    @property
    def url(self) -> str:
        """Return the base URL."""
        return f"http://{_HOST}:{self.port}"

    @property
    def clock_offset(self) -> float:
        """Return how far the server's clock is ahead, in seconds."""
        return self._clock.offset

    @clock_offset.setter
    def clock_offset(self, seconds: float) -> None:
        self._clock.offset = seconds

    @property
    def requests(self) -> list[ReceivedRequest]:
        """Return a copy of the list of requests, in order of arrival, without the control requests."""
        return self._statistics.requests

    @property
    def max_in_flight(self) -> int:
        """Return the largest number of requests that were unanswered at one time."""
        return self._statistics.max_in_flight

    @property
    def max_requests_in_one_second(self) -> int:
        """Return the largest number of requests that arrived within any one second."""
        return self._statistics.max_requests_in_one_second

    def statistics(self) -> dict[str, Any]:
        """Return the counts."""
        return self._statistics.summary()

    def reset_statistics(self) -> None:
        """Forget the requests so far; faults stay."""
        self._statistics.reset()

    def add_fault(self, fault: Fault) -> None:
        """Put a fault in force."""
        self._faults.add(fault)

    def clear_faults(self) -> None:
        """Lift all faults."""
        self._faults.clear()

    def insert(self, endpoint: str, record: Record) -> None:
        """Add a record, in place of one with the same key."""
        self._records[endpoint].insert(record)

    def remove(self, endpoint: str, key: Any) -> None:
        """Take away the record with this key; KeyError if there is none."""
        self._records[endpoint].remove(key)

    def call_center_cdrs(self, start: float, end: float) -> list[Record]:
        """Return the call center records that start in [start, end), oldest first.

        What selects and orders them is the truth, whatever the server compares, serves or reports; but they are
        themselves as it reports them: with times in its unit and zone.
        """
        return [decode(entry.text) for entry in self._records["call_center"].started(start, end)]

    def did_cdrs(self, start: float, end: float) -> list[Record]:
        """Return the DID records that truly start in [start, end), read in the server's zone, oldest first.

        They are as the server reports them, and may have no key.
        """
        return [decode(entry.text) for entry in self._records["did"].started(start, end)]

    def json_of(self, endpoint: str, record: Record) -> bytes:
        """Return the compact JSON that the server sends for a record that is as it reports it."""
        if endpoint not in self._records:
            raise KeyError(endpoint)
        return encode(record).encode()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        connections: set[Connection] = set()
        try:
            server = await self._loop.create_server(
                lambda: Connection(self._respond, connections), _HOST, self.port, backlog=_BACKLOG
            )
        except OSError as error:
            self._start_error = error
            self._ready.set()
            return
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopping.wait()
        server.close()
        for connection in list(connections):
            connection.abort()

    def _respond(self, request: Request) -> Response:
        try:
            response = self._answer(request)
        except Exception:
            _log.exception("The emulator failed")
            response = Response(500, b"The emulator failed; see its log\n", {"Content-Type": "text/plain"})
        response.headers["Date"] = self._clock.http_date()
        return response

    def _answer(self, request: Request) -> Response:
        if request.path.startswith(control.PREFIX):
            return control.respond(self, request)
        endpoint = endpoints.BY_PATH.get(request.path)
        body = rules.parse_body(request.body)
        page = _page_of(body)
        received = self._statistics.arrived(endpoint.name if endpoint else request.path, body, request.headers, page)
        try:
            response = self._answer_received(endpoint, request, received)
        except Exception:
            self._statistics.left()
            raise
        received.status = response.status
        response.finished = self._statistics.left
        return response

    def _answer_received(self, endpoint: Endpoint | None, request: Request, received: ReceivedRequest) -> Response:
        if endpoint is None:
            return Response(404, b"Not found\n", {"Content-Type": "text/plain"})
        if request.method != "POST":
            return Response(405, b"Method not allowed\n", {"Content-Type": "text/plain", "Allow": "POST"})
        if self._limiter is not None and not self._limiter.admits():
            return Response(429, b"Too many requests\n", {"Content-Type": "text/plain", "Retry-After": "1"})
        exchange = self._exchange(endpoint)
        self._perform(exchange, request, received)
        received.code, received.request_id = exchange.code, exchange.request_id
        return Response(
            exchange.status, exchange.body, exchange.headers, exchange.delay, exchange.delivery, exchange.pace
        )

    def _exchange(self, endpoint: Endpoint) -> Exchange:
        return Exchange(
            endpoint=endpoint,
            request_id=os.urandom(16).hex(),
            records=self._records[endpoint.name],
            answers=self._answers,
            clock=self._clock,
            delay=self.latency,
            headers={"Content-Type": "application/json;charset=UTF-8"},
        )

    def _perform(self, exchange: Exchange, request: Request, received: ReceivedRequest) -> None:
        striking = self._faults.striking(exchange.endpoint.name, received.page)
        faults.apply(striking, "arrival", exchange)
        refusal = self._judge(exchange, request, received.body)
        faults.apply(striking, "query", exchange)
        self._write(exchange, refusal)
        faults.apply(striking, "answer", exchange)

    def _judge(self, exchange: Exchange, request: Request, body: dict[str, Any] | None) -> rules.RefusalError | None:
        try:
            rules.check_headers(exchange.endpoint, request.headers, request.body, self._account, self._clock.now())
            query = rules.check_body(exchange.endpoint, body, self._end_time)
        except rules.RefusalError as refusal:
            return refusal
        missing = next(self._missing)
        exchange.query = query._replace(missing=missing) if missing else query
        return None

    def _write(self, exchange: Exchange, refusal: rules.RefusalError | None) -> None:
        endpoint = exchange.endpoint
        if exchange.query is not None:
            exchange.code = 0
            exchange.body = self._answers.page(
                endpoint,
                exchange.request_id,
                exchange.records,
                exchange.query,
                omitted=exchange.omitted,
                extra_rows=exchange.extra_rows,
                total=exchange.total,
            )
        elif refusal is not None:
            exchange.code = refusal.code
            exchange.body = self._answers.envelope(
                endpoint, exchange.request_id, refusal.code, refusal.message, endpoint.failure_data
            )


def _page_of(body: dict[str, Any] | None) -> int | None:
    page = body.get("page") if body else None
    return page if type(page) is int else None
