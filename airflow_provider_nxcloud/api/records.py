"""The record schemas: one table of fields a kind, and the typed values that they stand for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation
from enum import Enum
from functools import lru_cache
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, cast
from zoneinfo import ZoneInfo

import msgspec

from airflow_provider_nxcloud.api.moments import local_moment

if TYPE_CHECKING:
    from airflow_provider_nxcloud.api.endpoints import Endpoint

#: Digits of a decimal column, and how many of them stand after the point.
DECIMAL_PRECISION = 38
DECIMAL_SCALE = 19


class FieldType(Enum):
    """How a field's JSON value is to be understood."""

    TEXT = "text"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    #: Integer code, of an enumeration where the field has ``codes``.
    CODE = "code"
    #: Exact decimal; no digit may change.
    DECIMAL = "decimal"
    #: Unix time in milliseconds, 0 where the event never happened.
    EPOCH_MILLISECONDS = "epoch milliseconds"
    #: ``yyyy-MM-dd HH:mm:ss`` in the Connection's time zone, empty where the event never happened.
    LOCAL_TIME = "local time"
    #: JSON text.
    JSON = "JSON text"


@dataclass(frozen=True, slots=True)
class Field:
    """
    One field of a record.

    :param name: the API's own name
    :param type: how its value is to be understood
    :param meaning: what it says
    :param unit: unit of a quantity
    :param codes: meanings of the codes 0, 1, ... of an enumeration
    :param personal: whether it tells of a person, or may: a number, a name, an address, or what somebody keyed or wrote
    """

    name: str
    type: FieldType
    meaning: str
    unit: str = ""
    codes: tuple[str, ...] = ()
    personal: bool = False


CALL_CENTER_CDR_FIELDS: tuple[Field, ...] = (
    Field("agentName", FieldType.TEXT, "Agent account; null or empty where no agent took part", personal=True),
    Field(
        "agentNickName", FieldType.TEXT, "Agent's display name; null or empty where no agent took part", personal=True
    ),
    Field("answered", FieldType.BOOLEAN, "Whether the call was answered"),
    Field("answerTime", FieldType.EPOCH_MILLISECONDS, "When the call was answered"),
    Field("callDuration", FieldType.INTEGER, "Duration of the call", "s"),
    Field("callee", FieldType.TEXT, "Called number", personal=True),
    Field("caller", FieldType.TEXT, "Calling number", personal=True),
    Field("callId", FieldType.TEXT, "Identifier of the call, the record's key"),
    Field(
        "direction",
        FieldType.CODE,
        "Direction of the call (the API's request parameter of this name counts from 1)",
        codes=("incoming", "outgoing", "AICC"),
    ),
    Field("dtmfKeys", FieldType.TEXT, "Keys pressed on the phone, separated by commas", personal=True),
    Field("endTime", FieldType.EPOCH_MILLISECONDS, "When the call ended"),
    Field("hangupBy", FieldType.CODE, "Who hung up", codes=("agent", "user", "unknown")),
    Field("hangupCode", FieldType.CODE, "Code of the reason of the hang-up"),
    Field("callStatus", FieldType.TEXT, "Outcome of the call in words"),
    Field("hangupReason", FieldType.TEXT, "Reason of the hang-up in words"),
    Field("inQueueTime", FieldType.EPOCH_MILLISECONDS, "When the call entered the queue"),
    Field("leaveMsgUrl", FieldType.TEXT, "Address of the voicemail", personal=True),
    Field("orderId", FieldType.TEXT, "Order identifier, the customer's own"),
    Field("other", FieldType.TEXT, "Information passed through from whoever placed the call", personal=True),
    Field("intent", FieldType.TEXT, "Name of the recognised intent"),
    Field("outQueueTime", FieldType.EPOCH_MILLISECONDS, "When the call left the queue"),
    Field(
        "queueDuration",
        FieldType.INTEGER,
        "Time in the queue as NXCloud sends it: said to be seconds, seen in milliseconds as well "
        "(`outQueueTime` less `inQueueTime` is certain)",
    ),
    Field("recordUrl", FieldType.TEXT, "Address of the recording", personal=True),
    Field("ringDuration", FieldType.INTEGER, "How long it rang", "s"),
    Field("ringTime", FieldType.EPOCH_MILLISECONDS, "When it began to ring"),
    Field("startTime", FieldType.EPOCH_MILLISECONDS, "When the call started; what an interval selects by"),
    Field("taskId", FieldType.TEXT, "AICC task, where `direction` is 2"),
    Field("totalCustomerPrice", FieldType.DECIMAL, "Cost of the call, in a currency that the API does not name"),
)

DID_CDR_FIELDS: tuple[Field, ...] = (
    Field("id", FieldType.TEXT, "Identifier of the record, its key"),
    Field("number", FieldType.TEXT, "DID number", personal=True),
    Field("callNumber", FieldType.TEXT, "The other party's number", personal=True),
    Field("callType", FieldType.CODE, "Direction of the call", codes=("incoming", "outgoing")),
    Field("countryName", FieldType.TEXT, "Country that the call came from or went to"),
    Field("callDuration", FieldType.INTEGER, "Duration of the call", "s"),
    Field(
        "feeType",
        FieldType.CODE,
        "How the duration is billed, in seconds of the first and of each further step",
        codes=("60+60", "1+1"),
    ),
    Field("feeDurationMinute", FieldType.DECIMAL, "Billed duration", "min"),
    Field("callPriceUnit", FieldType.DECIMAL, "Price of a minute", "CNY"),
    Field("callPrice", FieldType.DECIMAL, "Cost of the call", "CNY"),
    Field(
        "endDirection", FieldType.CODE, "Who hung up (neither, where the code is another)", codes=("caller", "callee")
    ),
    Field("endReason", FieldType.TEXT, "Code of the reason why the call ended"),
    Field("endReasonName", FieldType.TEXT, "Reason why the call ended, in words"),
    Field("callerIp", FieldType.TEXT, "IP address of the caller", personal=True),
    Field("calleeIp", FieldType.TEXT, "IP address of the callee", personal=True),
    Field("startTime", FieldType.LOCAL_TIME, "When the call started; what an interval selects by"),
    Field("endTime", FieldType.LOCAL_TIME, "When the call ended"),
)

#: The column after these, of every kind.
EXTRA_FIELD = Field("_extra", FieldType.JSON, "What the record holds beyond these fields, as it came", personal=True)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_EARLIEST = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MILLISECOND
_LATEST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MILLISECOND
_NULL = msgspec.Raw(b"null")
_EXACT = Context(prec=DECIMAL_PRECISION, traps=[Inexact, InvalidOperation])
_SMALLEST = Decimal(1).scaleb(-DECIMAL_SCALE)

#: What msgspec holds a field's JSON value against. Identifiers come as numbers from one endpoint and as text from
#: the other; the digits of money are to be kept, so it stays JSON text for the time being.
_JSON_TYPES: Mapping[FieldType, tuple[Any, Any]] = MappingProxyType(
    {
        FieldType.TEXT: (str | int | None, None),
        FieldType.BOOLEAN: (bool | None, None),
        FieldType.INTEGER: (Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None, None),
        FieldType.CODE: (Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None, None),
        FieldType.DECIMAL: (msgspec.Raw, _NULL),
        FieldType.EPOCH_MILLISECONDS: (Annotated[int, msgspec.Meta(ge=_EARLIEST, le=_LATEST)] | None, None),
        FieldType.LOCAL_TIME: (str | None, None),
    }
)

#: What is raised for JSON text that cannot be read; msgspec's own errors are ValueErrors from 0.21 on only.
UNREADABLE = (msgspec.MsgspecError, ValueError)

_plain_decimal = re.compile(
    rf"-?[0-9]{{1,{DECIMAL_PRECISION - DECIMAL_SCALE}}}(?:\.[0-9]{{1,{DECIMAL_SCALE}}})?"
).fullmatch
_wall_clock_minute = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}").fullmatch
_SECONDS = {f":{second:02d}": second * 1000 for second in range(60)}
_decode_raw_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_key = msgspec.json.Decoder(str | int).decode


class RecordValueError(ValueError):
    """A value does not fit its field's type; the message names record and field, not the value."""


class RecordReader:
    """
    Reads records from their JSON text.

    :param endpoint: the kind of records
    :param timezone: zone of the kind's wall-clock times
    """

    def __init__(self, endpoint: Endpoint, timezone: ZoneInfo) -> None:
        self.kind = endpoint.kind
        self.fields = endpoint.fields
        self._key_field = endpoint.key_field
        self._names = frozenset(field.name for field in self.fields)
        self._decimals = [field.name for field in self.fields if field.type is FieldType.DECIMAL]
        self._timezone = timezone
        self._minute = lru_cache(maxsize=4096)(self._start_of_minute)
        self._decode_exact = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode
        self._decode_texts = msgspec.json.Decoder(dict[str, Any], float_hook=str).decode
        self._decode_known = msgspec.json.Decoder(_struct(self.fields, forbid_unknown_fields=True)).decode_lines
        self._decode_open = msgspec.json.Decoder(_struct(self.fields, forbid_unknown_fields=False)).decode_lines
        self._converters: Mapping[FieldType, Callable[[list[Any]], list[Any]]] = {
            FieldType.TEXT: _texts,
            FieldType.DECIMAL: _decimals,
            FieldType.EPOCH_MILLISECONDS: _null_for_zero,
            FieldType.LOCAL_TIME: self._local_times,
        }

    def with_decimals(self, record: bytes) -> dict[str, Any]:
        """Return a record as it came, numbers with a fraction and all money as ``Decimal``."""
        return self._with_money(self._decode_exact(record), Decimal)

    def with_texts(self, record: bytes) -> dict[str, Any]:
        """Return a record as it came, numbers with a fraction and all money as text, digit for digit."""
        return self._with_money(self._decode_texts(record), str)

    def _with_money(self, values: dict[str, Any], of_integer: Callable[[int], Any]) -> dict[str, Any]:
        """Give whole amounts the type that the decoder gave the others."""
        for name in self._decimals:
            if type(values.get(name)) is int:
                values[name] = of_integer(values[name])
        return values

    def columns(self, block: bytes) -> list[list[Any]]:
        """
        Return the values of each of the kind's fields in order, and at last those of :data:`EXTRA_FIELD`.

        Times are milliseconds since 1970 in UTC, None where the event never happened. Money is text: the digits as
        they came, without exponent. What is missing is None.

        :param block: records, each one line of JSON text
        :raises RecordValueError: for a value that does not fit its field
        """
        try:
            return self._columns(block)
        except UNREADABLE:
            for record in block.splitlines():
                self._require_fit(record)
            raise

    def _columns(self, block: bytes) -> list[list[Any]]:
        try:
            records = self._decode_known(block)
            extra: list[str | None] = [None] * len(records)
        except msgspec.ValidationError:  # an unknown field, or one that does not fit
            records = self._decode_open(block)
            extra = list(map(self._extra, block.splitlines()))
        return [*(self._column(field, records) for field in self.fields), extra]

    def _column(self, field: Field, records: list[Any]) -> list[Any]:
        column = list(map(attrgetter(field.name), records))
        convert = self._converters.get(field.type)
        return convert(column) if convert else column

    def _extra(self, record: bytes) -> str | None:
        """Return what a record holds beyond its kind's fields, as JSON text."""
        rest = {name: value for name, value in _decode_raw_fields(record).items() if name not in self._names}
        return msgspec.json.encode(rest).decode() if rest else None

    def _local_times(self, column: list[str | None]) -> list[int | None]:
        return [self._local_time(text) if text else None for text in column]

    def _local_time(self, text: str) -> int:
        minute, seconds = self._minute(text[:16]), _SECONDS.get(text[16:])
        if minute is not None and seconds is not None:
            return minute + seconds
        moment = local_moment(text, self._timezone)
        if moment.microsecond:
            raise ValueError("it has a fraction of a second")
        return _milliseconds(moment)

    def _start_of_minute(self, text: str) -> int | None:
        """Read ``yyyy-MM-dd HH:mm``; within a minute, no zone has changed its offset since 1972."""
        return _milliseconds(local_moment(text, self._timezone)) if _wall_clock_minute(text) else None

    def _require_fit(self, record: bytes) -> None:
        """Raise an error that names what of a record does not fit."""
        try:
            self._columns(record)
        except UNREADABLE as error:
            misfit = error
        else:
            return
        try:
            fields = _decode_raw_fields(record)
        except UNREADABLE as error:
            raise RecordValueError(f"A record of {self.kind} is not readable: {error}") from None
        for field in self.fields:
            try:
                self._columns(msgspec.json.encode({field.name: fields.get(field.name, _NULL)}))
            except UNREADABLE as error:
                key = self._key_of(fields)
                raise RecordValueError(f"Field {field.name} of {key} is no {field.type.value}: {error}") from None
        raise RecordValueError(f"The {self._key_of(fields)} is not readable: {misfit}")

    def _key_of(self, fields: Mapping[str, msgspec.Raw]) -> str:
        try:
            return f"record {_decode_key(fields[self._key_field])!r}"
        except (KeyError, *UNREADABLE):
            return "a record without key"


def _struct(fields: Iterable[Field], *, forbid_unknown_fields: bool) -> type[msgspec.Struct]:
    """Return the type of a kind's records, missing fields being null."""
    return msgspec.defstruct(
        "Record",
        [(field.name, *_JSON_TYPES[field.type]) for field in fields],
        forbid_unknown_fields=forbid_unknown_fields,
        gc=False,
    )


def _texts(column: list[str | int | None]) -> list[str | None]:
    if int in set(map(type, column)):
        return [str(value) if type(value) is int else value for value in column]  # type: ignore[misc]
    return column  # type: ignore[return-value]


def _null_for_zero(column: list[int | None]) -> list[int | None]:
    return [value or None for value in column]


def _decimals(column: list[msgspec.Raw]) -> list[str | None]:
    texts = b"\n".join(column).decode().split("\n") if column else []
    return [text if _plain_decimal(text) else _unusual_decimal(text) for text in texts]


def _unusual_decimal(text: str) -> str | None:
    """Read what is not plain digits: null, an exponent, or more digits than the column has."""
    if text == "null":
        return None
    if text[0] not in "-0123456789":
        raise ValueError("it is not a number")
    try:
        number = Decimal(text)
        fitted = _EXACT.quantize(number, _SMALLEST)
    except (Inexact, InvalidOperation):
        raise ValueError(
            f"it needs more than {DECIMAL_PRECISION - DECIMAL_SCALE} digits before the point, or more than "
            f"{DECIMAL_SCALE} after it"
        ) from None
    has_more_places = cast(int, number.as_tuple().exponent) < -DECIMAL_SCALE  # which are noughts
    return f"{fitted if has_more_places else number:f}"


def _milliseconds(moment: datetime) -> int:
    """
    Return Unix time in milliseconds.

    :raises ValueError: for a year that is not between 1 and 9999 in UTC
    """
    milliseconds = (moment - _EPOCH) // _MILLISECOND
    if not _EARLIEST <= milliseconds <= _LATEST:
        raise ValueError("it is not between the years 1 and 9999")
    return milliseconds
