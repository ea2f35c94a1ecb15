"""What the record endpoints are: address, limits, how a query asks for an interval, how a page is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any, ClassVar, Literal
from zoneinfo import ZoneInfo

import msgspec

from airflow_provider_nxcloud.api.moments import local_moment
from airflow_provider_nxcloud.api.records import CALL_CENTER_CDR_FIELDS, DID_CDR_FIELDS, Field


@dataclass(frozen=True, slots=True)
class Page:
    """
    One page of an answer.

    :param records: each record's JSON text, without white space between tokens, otherwise as it came
    :param keys: each record's identifier, None where it has none
    :param starts: each record's start time as the endpoint gives it
    :param total_records: size of the whole result, where the endpoint tells
    :param total_pages: pages of the whole result, where the endpoint tells
    """

    records: Sequence[msgspec.Raw]
    keys: Sequence[str | int | None]
    starts: Sequence[Any]
    total_records: int | None = None
    total_pages: int | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """
    What one query, page by page, asks for.

    :param start: Unix time in seconds, inclusive
    :param end: Unix time in seconds, exclusive
    :param parameters: the query's body, without page number and size
    :param select: takes a page's start times and returns, for each record, whether it belongs to the window,
        or None where all do; what it leaves out is certain to be in the answer to another interval's query
    :param count_early: counts the start times that are before the window
    """

    start: int
    end: int
    parameters: Mapping[str, Any] = field(repr=False)  # filters may hold phone numbers
    select: Callable[[Sequence[Any]], list[bool] | None] = field(repr=False)
    count_early: Callable[[Sequence[Any]], int] = field(repr=False, default=lambda starts: 0)


class Endpoint(ABC):
    """One kind of records: everything that the rest of the package needs to know of it."""

    #: Name of the record kind, as in object names and manifests.
    kind: ClassVar[str]
    #: What the records are called where people read of them.
    title: ClassVar[str]
    #: The fields of a record, in the order of the columns.
    fields: ClassVar[tuple[Field, ...]]
    #: Name of the field that identifies a record.
    key_field: ClassVar[str]
    path: ClassVar[str]
    biz_type: ClassVar[str]
    action: ClassVar[str]
    max_page_size: ClassVar[int]
    #: Result codes that a later attempt may not meet.
    transient_codes: ClassVar[frozenset[int]]
    #: Filters by our name: the body parameter, and what is sent for each choice (None: nothing). Without choices,
    #: any text is sent as it is.
    filters: ClassVar[Mapping[str, tuple[str, Mapping[str, int | None] | None]]]

    def filter_parameters(self, filters: Mapping[str, str | None]) -> dict[str, Any]:
        """
        Return the body parameters of the given filters; None leaves a filter out.

        :raises ValueError: for a filter that the endpoint does not have, or a value that it does not know
        """
        parameters: dict[str, Any] = {}
        for name, value in filters.items():
            if name not in self.filters:
                raise ValueError(f"{self.kind} has no filter {name!r}; it has {', '.join(self.filters)}")
            if value is None or value == "":
                continue
            parameter, choices = self.filters[name]
            if choices is not None and value not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
            sent = value if choices is None else choices[value]
            if sent is not None:
                parameters[parameter] = sent
        return parameters

    @abstractmethod
    def windows(
        self, start: int, end: int, *, filters: Mapping[str, Any], timezone: ZoneInfo, span: timedelta | None
    ) -> Iterator[Window]:
        """
        Yield the windows that tile ``[start, end)``, in order.

        :param start: Unix time in seconds, inclusive
        :param end: Unix time in seconds, exclusive
        :param filters: body parameters, as :meth:`filter_parameters` returns them
        :param timezone: zone of the endpoint's dates and wall-clock times
        :param span: length of one window; None for the endpoint's own choice
        """

    @abstractmethod
    def page_parameters(self, page: int, page_size: int) -> dict[str, int]:
        """Return the body parameters that ask for one page, counted from 1."""

    @abstractmethod
    def read_page(self, answer: bytes) -> Page:
        """
        Read the body of a successful answer.

        :raises msgspec.MsgspecError: where it is not one
        :raises ValueError: where it contradicts itself
        """

    @abstractmethod
    def read_keys(self, records: bytes) -> Sequence[str | int | None]:
        """Return the keys of a JSON array of records."""


def spans(start: int, end: int, span: timedelta | None) -> Iterator[tuple[int, int]]:
    """Yield the spans that tile ``[start, end)``, in order; None: it is one."""
    step = int(span.total_seconds()) if span else end - start
    for first in range(start, end, step):
        yield first, min(first + step, end)


def time_range(start: int, end: int, parameters: Mapping[str, Any]) -> Window:
    """
    Return the window of a query for a time range, whose records say in Unix milliseconds when they start.

    :param start: Unix time in seconds, inclusive
    :param end: Unix time in seconds, exclusive
    :param parameters: ask for it
    """
    start_ms, end_ms = start * 1000, end * 1000

    def select(starts: Sequence[int | None]) -> list[bool] | None:
        # Whether the server takes the end as inclusive is not documented; the next window asks for it.
        if None not in starts and max(starts, default=0) < end_ms:  # type: ignore[type-var, operator]
            return None
        selected = [moment is None or moment < end_ms for moment in starts]
        return None if all(selected) else selected

    def count_early(starts: Sequence[int | None]) -> int:
        if None not in starts and min(starts, default=start_ms) >= start_ms:  # type: ignore[type-var, operator]
            return 0
        return sum(moment is not None and moment < start_ms for moment in starts)

    return Window(start, end, parameters, select, count_early)


# The answers are decoded twice, once for the records' text and once for what is to be known of them: both passes
# are in C, and together faster than any one that returns both.


class _CallCenterFacts(msgspec.Struct, rename="camel", gc=False):
    call_id: str | int | None = None
    start_time: int | None = None


class _CallCenterRecords(msgspec.Struct):
    code: Literal[0]
    data: list[msgspec.Raw]


class _CallCenterFactsOnly(msgspec.Struct):
    data: list[_CallCenterFacts]


class CallCenterCdrEndpoint(Endpoint):
    """Call center call detail records ("Call Record Query"): a time range, no total."""

    kind = "call_center_cdr"
    title = "Call center records"
    fields = CALL_CENTER_CDR_FIELDS
    key_field = "callId"
    path = "/saas/cc/openapi/cdr/page"
    biz_type = "8"
    action = "cc"
    max_page_size = 100
    transient_codes = frozenset({88, 99})
    filters = MappingProxyType(
        {
            "answered": ("answered", MappingProxyType({"all": None, "unanswered": 1, "answered": 2})),
            "direction": (
                "direction",
                MappingProxyType({"all": None, "incoming": 1, "outgoing": 2, "aicc": 3}),
            ),
            "agent_name": ("name", None),
            "caller": ("caller", None),
            "callee": ("callee", None),
            "call_id": ("callId", None),
            "order_id": ("orderId", None),
        }
    )
    _decode_records = msgspec.json.Decoder(_CallCenterRecords).decode
    _decode_facts = msgspec.json.Decoder(_CallCenterFactsOnly).decode
    _decode_array = msgspec.json.Decoder(list[_CallCenterFacts]).decode

    def windows(
        self, start: int, end: int, *, filters: Mapping[str, Any], timezone: ZoneInfo, span: timedelta | None
    ) -> Iterator[Window]:
        """Yield windows of ``span``, or the whole interval as one."""
        for first, last in spans(start, end, span):
            yield time_range(first, last, {"startTime": first, "endTime": last, **filters})

    def page_parameters(self, page: int, page_size: int) -> dict[str, int]:
        """Return ``size`` and ``page``."""
        return {"size": page_size, "page": page}

    def read_page(self, answer: bytes) -> Page:
        """Read an array of records; the API page calls it an object, and sends ``{}`` on failure only."""
        facts = self._decode_facts(answer).data
        return Page(
            self._decode_records(answer).data,
            [record.call_id or None for record in facts],
            [record.start_time for record in facts],
        )

    def read_keys(self, records: bytes) -> Sequence[str | int | None]:
        """Return each record's ``callId``."""
        return [record.call_id or None for record in self._decode_array(records)]


class _DidFacts(msgspec.Struct, rename="camel", gc=False):
    id: str | int | None = None
    start_time: str | None = None


class _DidData(msgspec.Struct, rename="camel"):
    total_row: int
    total_page: int
    records: list[msgspec.Raw] | None = msgspec.field(name="list")


class _DidRecords(msgspec.Struct):
    code: Literal[0]
    data: _DidData


class _DidFactsData(msgspec.Struct):
    facts: list[_DidFacts] | None = msgspec.field(name="list")


class _DidFactsOnly(msgspec.Struct):
    data: _DidFactsData


class DidCdrEndpoint(Endpoint):
    """DID call detail records ("DID Number Call Record Query"): one local calendar date, with a total."""

    kind = "did_cdr"
    title = "DID records"
    fields = DID_CDR_FIELDS
    key_field = "id"
    path = "/api/did/cdr"
    biz_type = "4"
    action = "cdr"
    max_page_size = 999
    transient_codes = frozenset({-1})
    filters = MappingProxyType(
        {
            "did_number": ("didNumber", None),
            "call_number": ("callNumber", None),
            "call_type": ("type", MappingProxyType({"incoming": 0, "outgoing": 1})),
        }
    )
    _decode_records = msgspec.json.Decoder(_DidRecords).decode
    _decode_facts = msgspec.json.Decoder(_DidFactsOnly).decode
    _decode_array = msgspec.json.Decoder(list[_DidFacts]).decode

    def windows(
        self, start: int, end: int, *, filters: Mapping[str, Any], timezone: ZoneInfo, span: timedelta | None
    ) -> Iterator[Window]:
        """Yield a window for each local date that the interval touches; ``span`` cannot divide a date."""
        # A DST change around midnight can put the interval's first second into the date before.
        day = datetime.fromtimestamp(start, timezone).date() - timedelta(days=1)
        while (day_start := _start_of(day, timezone)) < end:
            next_day = day + timedelta(days=1)
            day_end = _start_of(next_day, timezone)
            if max(start, day_start) < min(end, day_end):
                yield self._window(day, day_start, day_end, (start, end), filters, timezone)
            day = next_day

    def _window(
        self,
        day: date,
        day_start: int,
        day_end: int,
        interval: tuple[int, int],
        filters: Mapping[str, Any],
        timezone: ZoneInfo,
    ) -> Window:
        start, end = max(day_start, interval[0]), min(day_end, interval[1])

        def belongs(wall_clock: str | None) -> bool:
            moment = day_start if not wall_clock else int(local_moment(wall_clock, timezone).timestamp())
            return start <= min(max(moment, day_start), day_end - 1) < end

        def select(starts: Sequence[str | None]) -> list[bool] | None:
            if (start, end) == (day_start, day_end):
                return None
            return [belongs(wall_clock) for wall_clock in starts]

        return Window(start, end, {"date": day.isoformat(), **filters}, select)

    def page_parameters(self, page: int, page_size: int) -> dict[str, int]:
        """Return ``pageSize`` and ``page``."""
        return {"pageSize": page_size, "page": page}

    def read_page(self, answer: bytes) -> Page:
        """Read one page with its totals."""
        page = self._decode_records(answer).data
        if page.total_row < 0 or page.total_page < 0:
            raise ValueError(f"totalRow is {page.total_row}, totalPage is {page.total_page}")
        if page.records is None and page.total_row > 0:
            raise ValueError(f"list is null, but totalRow is {page.total_row}")
        facts = self._decode_facts(answer).data.facts or []
        return Page(
            page.records or [],
            [None if record.id == "" else record.id for record in facts],
            [record.start_time for record in facts],
            page.total_row,
            page.total_page,
        )

    def read_keys(self, records: bytes) -> Sequence[str | int | None]:
        """Return each record's ``id``."""
        return [None if record.id == "" else record.id for record in self._decode_array(records)]


def _start_of(day: date, timezone: ZoneInfo) -> int:
    """Return the first second of a local calendar date, which a DST change may move off midnight."""
    return int(datetime(day.year, day.month, day.day, tzinfo=timezone).timestamp())


CALL_CENTER_CDR = CallCenterCdrEndpoint()
DID_CDR = DidCdrEndpoint()
ENDPOINTS: tuple[Endpoint, ...] = (CALL_CENTER_CDR, DID_CDR)
