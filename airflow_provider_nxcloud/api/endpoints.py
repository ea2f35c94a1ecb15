"""What the record endpoints are: address, limits, how a query asks for an interval, how a page is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any, ClassVar, Literal
from zoneinfo import ZoneInfo

import msgspec

from airflow_provider_nxcloud.api.completeness.ends import End, ShortPage, Total
from airflow_provider_nxcloud.api.pages import Facts, Page
from airflow_provider_nxcloud.api.records import CALL_CENTER_CDR_FIELDS, DID_CDR_FIELDS, Field
from airflow_provider_nxcloud.api.windows import Window, calendar_dates, time_ranges


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
    #: How a query's last page shows.
    end: ClassVar[End]
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
    def read_facts(self, records: bytes) -> Facts:
        """Return what is to be known of the records of a JSON array."""

    def parts(self, window: Window) -> list[Window]:
        """
        Return narrower questions whose answers together are the window's: one for each choice of a filter.

        None are left where every filter that has choices is set.
        """
        for parameter, choices in self.filters.values():
            if choices is not None and parameter not in window.filters:
                return [window.with_filters({parameter: sent}) for sent in choices.values() if sent is not None]
        return []

    def whole(self, window: Window) -> Window:
        """Return the question of which the window's is a part, by the filters that have choices."""
        chosen = {parameter for parameter, choices in self.filters.values() if choices is not None}
        return window.with_only({name: value for name, value in window.filters.items() if name not in chosen})


# The answers are decoded twice, once for the records' text and once for what is to be known of them: both passes
# are in C, and together faster than any one that returns both.


class _CallCenterFacts(msgspec.Struct, rename="camel", gc=False):
    call_id: str | int | None = None
    start_time: int | None = None
    end_time: int | float | str | None = None


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
    end = ShortPage()
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
        """Return windows of ``span``, or the whole interval as one."""
        return time_ranges(start, end, span, filters, ("startTime", "endTime"))

    def page_parameters(self, page: int, page_size: int) -> dict[str, int]:
        """Return ``size`` and ``page``."""
        return {"size": page_size, "page": page}

    def read_page(self, answer: bytes) -> Page:
        """Read an array of records; the API page calls it an object, and sends ``{}`` on failure only."""
        return Page(self._decode_records(answer).data, _call_center_facts(self._decode_facts(answer).data))

    def read_facts(self, records: bytes) -> Facts:
        """Return each record's ``callId`` and ``startTime``."""
        return _call_center_facts(self._decode_array(records))


def _call_center_facts(facts: Sequence[_CallCenterFacts]) -> Facts:
    return Facts(
        [record.call_id or None for record in facts],
        [record.start_time for record in facts],
        [record.end_time for record in facts],
    )


class _DidFacts(msgspec.Struct, rename="camel", gc=False):
    id: str | int | None = None
    start_time: str | None = None
    end_time: int | float | str | None = None


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
    end = Total()
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
        """Return a window for each local date that the interval touches; ``span`` cannot divide a date."""
        return calendar_dates(start, end, filters, timezone)

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
        return Page(page.records or [], _did_facts(self._decode_facts(answer).data.facts or []), page.total_row)

    def read_facts(self, records: bytes) -> Facts:
        """Return each record's ``id`` and ``startTime``."""
        return _did_facts(self._decode_array(records))


def _did_facts(facts: Sequence[_DidFacts]) -> Facts:
    return Facts(
        [None if record.id == "" else record.id for record in facts],
        [record.start_time for record in facts],
        [record.end_time for record in facts],
    )


CALL_CENTER_CDR = CallCenterCdrEndpoint()
DID_CDR = DidCdrEndpoint()
ENDPOINTS: tuple[Endpoint, ...] = (CALL_CENTER_CDR, DID_CDR)
