"""The record schemas: one table of fields a kind, and the typed values that they stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from airflow_provider_nxcloud.api.moments import local_moment

#: Column that holds, as JSON text, what a record has beyond its kind's fields.
EXTRA_COLUMN = "_extra"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class FieldType(Enum):
    """How a field's JSON value is to be understood."""

    TEXT = "text"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    #: Integer code of an enumeration.
    CODE = "code"
    #: Exact decimal; no digit may change.
    DECIMAL = "decimal"
    #: Unix time in milliseconds, 0 where the event never happened.
    EPOCH_MILLISECONDS = "epoch milliseconds"
    #: ``yyyy-MM-dd HH:mm:ss`` in the endpoint's time zone, empty where the event never happened.
    LOCAL_TIME = "local time"


@dataclass(frozen=True, slots=True)
class Field:
    """
    One field of a record.

    :param name: the API's own name
    :param type: how its value is to be understood
    :param meaning: what it says
    :param unit: unit of a quantity
    """

    name: str
    type: FieldType
    meaning: str
    unit: str = ""


CALL_CENTER_CDR_FIELDS: tuple[Field, ...] = (
    Field("agentName", FieldType.TEXT, "Agent account; null where no agent took part"),
    Field("agentNickName", FieldType.TEXT, "Agent's display name"),
    Field("answered", FieldType.BOOLEAN, "Whether the call was answered"),
    Field("answerTime", FieldType.EPOCH_MILLISECONDS, "When the call was answered"),
    Field("callDuration", FieldType.INTEGER, "Duration of the call", "s"),
    Field("callee", FieldType.TEXT, "Called number"),
    Field("caller", FieldType.TEXT, "Calling number"),
    Field("callId", FieldType.TEXT, "Identifier of the call"),
    Field("direction", FieldType.CODE, "0 incoming, 1 outgoing, 2 AICC (a filter counts from 1)"),
    Field("dtmfKeys", FieldType.TEXT, "Keys pressed, separated by commas"),
    Field("endTime", FieldType.EPOCH_MILLISECONDS, "When the call ended"),
    Field("hangupBy", FieldType.CODE, "Who hung up: 0 agent, 1 user, 2 unknown"),
    Field("hangupCode", FieldType.CODE, "Reason code of the hang-up"),
    Field("callStatus", FieldType.TEXT, "Outcome of the call"),
    Field("hangupReason", FieldType.TEXT, "Reason of the hang-up in words"),
    Field("inQueueTime", FieldType.EPOCH_MILLISECONDS, "When the call entered the queue"),
    Field("leaveMsgUrl", FieldType.TEXT, "Address of the voicemail"),
    Field("orderId", FieldType.TEXT, "Order identifier, the caller's own"),
    Field("other", FieldType.TEXT, "Information passed through from the call's request"),
    Field("intent", FieldType.TEXT, "Name of the recognised intent"),
    Field("outQueueTime", FieldType.EPOCH_MILLISECONDS, "When the call left the queue"),
    Field(
        "queueDuration",
        FieldType.INTEGER,
        "Time in the queue as NXCloud sends it: said to be seconds, seen in milliseconds as well",
    ),
    Field("recordUrl", FieldType.TEXT, "Address of the recording"),
    Field("ringDuration", FieldType.INTEGER, "Time that it rang", "s"),
    Field("ringTime", FieldType.EPOCH_MILLISECONDS, "When it began to ring"),
    Field("startTime", FieldType.EPOCH_MILLISECONDS, "When the call started"),
    Field("taskId", FieldType.TEXT, "AICC task, where direction is 2"),
    Field("totalCustomerPrice", FieldType.DECIMAL, "Cost of the call"),
)

DID_CDR_FIELDS: tuple[Field, ...] = (
    Field("id", FieldType.TEXT, "Identifier of the record"),
    Field("number", FieldType.TEXT, "DID number"),
    Field("callNumber", FieldType.TEXT, "The other party's number"),
    Field("callType", FieldType.CODE, "0 incoming, 1 outgoing"),
    Field("countryName", FieldType.TEXT, "Country of the call"),
    Field("callDuration", FieldType.INTEGER, "Duration of the call", "s"),
    Field("feeType", FieldType.CODE, "Billing increments: 0 60+60, 1 1+1"),
    Field("feeDurationMinute", FieldType.DECIMAL, "Billed duration", "min"),
    Field("callPriceUnit", FieldType.DECIMAL, "Price of a minute", "CNY"),
    Field("callPrice", FieldType.DECIMAL, "Cost of the call", "CNY"),
    Field("endDirection", FieldType.CODE, "Who hung up: 0 caller, 1 callee, any other value: other"),
    Field("endReason", FieldType.TEXT, "Code of the termination reason"),
    Field("endReasonName", FieldType.TEXT, "Termination reason in words"),
    Field("callerIp", FieldType.TEXT, "Caller's IP address"),
    Field("calleeIp", FieldType.TEXT, "Callee's IP address"),
    Field("startTime", FieldType.LOCAL_TIME, "When the call started"),
    Field("endTime", FieldType.LOCAL_TIME, "When the call ended"),
)

#: The fields of each record kind, in the order of the columns.
FIELDS: Mapping[str, tuple[Field, ...]] = MappingProxyType(
    {"call_center_cdr": CALL_CENTER_CDR_FIELDS, "did_cdr": DID_CDR_FIELDS}
)


class RecordValueError(ValueError):
    """A value does not fit its field's type; the message names record and field, not the value."""


class RecordReader:
    """
    Reads records from their JSON text.

    :param kind: record kind, a key of :data:`FIELDS`
    :param timezone: zone of the kind's wall-clock times
    """

    def __init__(self, kind: str, timezone: ZoneInfo) -> None:
        self.fields = FIELDS[kind]
        self._names = frozenset(field.name for field in self.fields)
        self._decimals = [field.name for field in self.fields if field.type is FieldType.DECIMAL]
        self._timezone = timezone
        self._decode_exact = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode
        self._decode_texts = msgspec.json.Decoder(dict[str, Any], float_hook=str).decode
        self._converters: dict[FieldType, Callable[[Any], Any]] = {
            FieldType.TEXT: _text,
            FieldType.BOOLEAN: _checked(bool),
            FieldType.INTEGER: _integer,
            FieldType.CODE: _integer,
            FieldType.DECIMAL: _decimal,
            FieldType.EPOCH_MILLISECONDS: _moment,
            FieldType.LOCAL_TIME: self._local_moment,
        }

    def with_decimals(self, record: bytes) -> dict[str, Any]:
        """Return a record as it came, numbers with a fraction and all money as ``Decimal``."""
        values = self._decode_exact(record)
        for name in self._decimals:
            if type(values.get(name)) is int:
                values[name] = Decimal(values[name])
        return values

    def with_texts(self, record: bytes) -> dict[str, Any]:
        """Return a record as it came, numbers with a fraction and all money as text, digit for digit."""
        values = self._decode_texts(record)
        for name in self._decimals:
            if type(values.get(name)) is int:
                values[name] = str(values[name])
        return values

    def row(self, record: bytes) -> list[Any]:
        """
        Return the values of the kind's fields in order, typed, and the rest as JSON text (None where none).

        Times are UTC datetimes, None where the event never happened; money is ``Decimal``.

        :raises RecordValueError: for a value that does not fit its field
        """
        values = self._decode_exact(record)
        row = [self._converted(field, values) for field in self.fields]
        row.append(self._rest(record) if values.keys() - self._names else None)
        return row

    def _converted(self, field: Field, values: dict[str, Any]) -> Any:
        value = values.get(field.name)
        if value is None:
            return None
        try:
            return self._converters[field.type](value)
        except (TypeError, ValueError, OverflowError) as error:
            key = values.get("callId") or values.get("id")
            raise RecordValueError(f"Field {field.name} of record {key!r} is no {field.type.value}: {error}") from None

    def _rest(self, record: bytes) -> str:
        rest = msgspec.json.decode(record, type=dict[str, msgspec.Raw])
        return msgspec.json.encode({name: rest[name] for name in rest if name not in self._names}).decode()

    def _local_moment(self, value: Any) -> datetime | None:
        if not isinstance(value, str):
            raise TypeError(f"it is of type {type(value).__name__}")
        if not value:
            return None
        return local_moment(value, self._timezone).astimezone(UTC)


def _checked(expected: type) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if type(value) is not expected:
            raise TypeError(f"it is of type {type(value).__name__}")
        return value

    return check


_integer = _checked(int)


def _text(value: Any) -> str:
    """Identifiers come as numbers from one endpoint and as text from the other."""
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    raise TypeError(f"it is of type {type(value).__name__}")


def _decimal(value: Any) -> Decimal:
    if isinstance(value, Decimal):
        return value
    return Decimal(_integer(value))


def _moment(value: Any) -> datetime | None:
    milliseconds = _integer(value)
    return _EPOCH + timedelta(milliseconds=milliseconds) if milliseconds else None
