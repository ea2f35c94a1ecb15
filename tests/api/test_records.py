"""The record schemas, and what becomes of each value."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_nxcloud.api.endpoints import CALL_CENTER_CDR, DID_CDR, Endpoint
from airflow_provider_nxcloud.api.records import FIELDS, FieldType, RecordReader, RecordValueError
from tests.api.conftest import NAMES, each_kind, examples, records_of_day
from tests.conftest import ZONE
from tests.emulator.encoding import decode, encode

CC, DID = CALL_CENTER_CDR.kind, DID_CDR.kind
READERS = {kind: RecordReader(kind, ZONE) for kind in (CC, DID)}

#: Numbers as JSON writes them.
numbers = st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)


def row_of(kind: str, record: bytes) -> dict[str, Any]:
    reader = READERS[kind]
    names = [field.name for field in reader.fields] + ["_extra"]
    return dict(zip(names, reader.row(record), strict=True))


class TestFields:
    @each_kind
    def test_are_those_that_the_server_sends(self, endpoint: Endpoint) -> None:
        (record,) = records_of_day(endpoint, 1)
        assert {field.name for field in FIELDS[endpoint.kind]} == record.keys()

    @each_kind
    def test_each_is_named_once_and_explained(self, endpoint: Endpoint) -> None:
        names = [field.name for field in FIELDS[endpoint.kind]]
        assert len(set(names)) == len(names)
        assert all(field.meaning for field in FIELDS[endpoint.kind])

    @each_kind
    def test_money_is_decimal(self, endpoint: Endpoint) -> None:
        money = {field.name for field in FIELDS[endpoint.kind] if "rice" in field.name or "Minute" in field.name}
        assert money == {field.name for field in FIELDS[endpoint.kind] if field.type is FieldType.DECIMAL}


class TestNumbers:
    @pytest.mark.parametrize("text", ["0.1234567890123456789", "1E-7", "2", "0", "0.10", "-0.5", "1e400", "9" * 40])
    def test_keep_every_digit(self, text: str) -> None:
        record = b'{"callPrice":%b}' % text.encode()
        for value in (READERS[DID].with_decimals(record)["callPrice"], row_of(DID, record)["callPrice"]):
            assert type(value) is Decimal
            assert value.as_tuple() == Decimal(text).as_tuple()
        assert READERS[DID].with_texts(record) == {"callPrice": text}

    @examples(300)
    @given(numbers)
    def test_none_changes_its_value(self, text: str) -> None:
        record = b'{"totalCustomerPrice":%b,"unknown":%b}' % (text.encode(), text.encode())
        values = READERS[CC].with_decimals(record)
        assert values["totalCustomerPrice"] == values["unknown"] == Decimal(text)
        assert type(values["totalCustomerPrice"]) is Decimal
        assert not isinstance(values["unknown"], float)
        assert Decimal(READERS[CC].with_texts(record)["totalCustomerPrice"]) == Decimal(text)
        assert row_of(CC, record)["_extra"] == '{"unknown":' + text + "}"

    def test_other_whole_numbers_stay_whole(self) -> None:
        record = b'{"callDuration":64,"callPrice":2}'
        assert READERS[DID].with_decimals(record) == {"callDuration": 64, "callPrice": Decimal(2)}
        assert READERS[DID].with_texts(record) == {"callDuration": 64, "callPrice": "2"}

    @each_kind
    def test_all_records_of_a_day_come_out_as_they_went_in(self, endpoint: Endpoint) -> None:
        for record in records_of_day(endpoint, 300):
            text = encode(record).encode()
            assert READERS[endpoint.kind].with_decimals(text) == decode(text) == record


class TestRows:
    @each_kind
    def test_empty_record(self, endpoint: Endpoint) -> None:
        assert set(row_of(endpoint.kind, b"{}").values()) == {None}

    @each_kind
    def test_null_stays_null(self, endpoint: Endpoint) -> None:
        record = encode(dict.fromkeys(field.name for field in FIELDS[endpoint.kind])).encode()
        assert set(row_of(endpoint.kind, record).values()) == {None}

    @each_kind
    def test_all_records_of_a_day_fit(self, endpoint: Endpoint) -> None:
        types = {
            FieldType.TEXT: str,
            FieldType.BOOLEAN: bool,
            FieldType.INTEGER: int,
            FieldType.CODE: int,
            FieldType.DECIMAL: Decimal,
            FieldType.EPOCH_MILLISECONDS: datetime,
            FieldType.LOCAL_TIME: datetime,
        }
        for record in records_of_day(endpoint, 300):
            row = row_of(endpoint.kind, encode(record).encode())
            assert row["_extra"] is None
            for field in FIELDS[endpoint.kind]:
                assert row[field.name] is None or type(row[field.name]) is types[field.type]

    def test_milliseconds(self) -> None:
        row = row_of(CC, b'{"startTime":1690442492841,"answerTime":0,"endTime":null,"ringTime":-1}')
        assert row["startTime"] == datetime(2023, 7, 27, 7, 21, 32, 841_000, tzinfo=UTC)
        assert row["startTime"].tzinfo is UTC
        assert row["answerTime"] is row["endTime"] is None
        assert row["ringTime"] == datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)

    def test_wall_clock_times(self) -> None:
        row = row_of(DID, b'{"startTime":"2026-03-17 08:00:00","endTime":""}')
        assert row["startTime"] == datetime(2026, 3, 17, tzinfo=UTC)
        assert row["startTime"].tzinfo is UTC
        assert row["endTime"] is None

    def test_identifiers_may_be_numbers(self) -> None:
        assert row_of(DID, b'{"id":739692000001}')["id"] == "739692000001"
        assert row_of(DID, b'{"id":"739692000001"}')["id"] == "739692000001"

    def test_what_is_unknown_is_kept_verbatim(self) -> None:
        rest = b'"zz":[1.50,{"a":"\\u00e9"}],"n":null,"price":1E+2,"text":"\xe7\x89\x9b"'
        row = row_of(CC, b'{"callId":"a",%b,"caller":"0001"}' % rest)
        assert row["_extra"] == "{" + rest.decode() + "}"
        assert (row["callId"], row["caller"]) == ("a", "0001")

    @pytest.mark.parametrize(
        ("kind", "field", "value"),
        [
            (CC, "answered", "1"),
            (CC, "answered", '"yes-8520"'),
            (CC, "callDuration", "8520.5"),
            (CC, "callDuration", '"8520"'),
            (CC, "callDuration", "true"),
            (CC, "direction", '"8520"'),
            (CC, "caller", "8520.25"),
            (CC, "caller", '["8520"]'),
            (CC, "caller", "true"),
            (CC, "startTime", '"2026-03-17 8520"'),
            (CC, "startTime", "8520852085208520852085208520"),
            (CC, "startTime", "true"),
            (CC, "totalCustomerPrice", '"8520"'),
            (CC, "totalCustomerPrice", "true"),
            (DID, "startTime", "8520"),
            (DID, "startTime", '"8520 o\'clock"'),
            (DID, "startTime", '"0001-01-01 00:00:00"'),
            (DID, "callPrice", "{}"),
        ],
    )
    def test_what_does_not_fit_is_an_error_that_names_record_and_field(self, kind: str, field: str, value: str) -> None:
        key = "callId" if kind == CC else "id"
        with pytest.raises(RecordValueError, match=rf"Field {field} of record 'the-key' is no ") as caught:
            row_of(kind, f'{{"{key}":"the-key","{field}":{value}}}'.encode())
        assert "8520" not in str(caught.value)
        assert "yes" not in str(caught.value)


@pytest.mark.parametrize("kind", [CC, DID])
def test_what_is_no_record_is_an_error(kind: str) -> None:
    for text in (b"", b"[]", b"null", b'{"callId":'):
        with pytest.raises(ValueError, match=r"JSON|object|truncated"):
            READERS[kind].with_decimals(text)


def test_names_of_all_kinds_are_known() -> None:
    assert FIELDS.keys() == {endpoint.kind for endpoint in NAMES}
