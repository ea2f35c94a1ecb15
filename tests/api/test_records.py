"""The record schemas, and what becomes of each value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_nxcloud.api.endpoints import CALL_CENTER_CDR, DID_CDR, ENDPOINTS, Endpoint
from airflow_provider_nxcloud.api.records import UNREADABLE, FieldType, RecordReader, RecordValueError
from tests.api.conftest import NAMES, each_kind, examples, records_of_day
from tests.conftest import ZONE
from tests.emulator.encoding import decode, encode

CC, DID = CALL_CENTER_CDR.kind, DID_CDR.kind
READERS = {endpoint.kind: RecordReader(endpoint, ZONE) for endpoint in ENDPOINTS}
FIELDS = {endpoint.kind: endpoint.fields for endpoint in ENDPOINTS}

#: The two pages' tables in order, with their types. The example has an `id` that the table leaves out.
PAGES = {
    CC: """
        agentName String, agentNickName String, answered Boolean, answerTime Long, callDuration Integer, callee String,
        caller String, callId String, direction Integer, dtmfKeys String, endTime Long, hangupBy Integer,
        hangupCode Integer, callStatus String, hangupReason String, inQueueTime Long, leaveMsgUrl String,
        orderId String, other String, intent String, outQueueTime Long, queueDuration Integer, recordUrl String,
        ringDuration Integer, ringTime Long, startTime Long, taskId String, totalCustomerPrice Double
    """,
    DID: """
        id string, number string, callNumber string, callType int, countryName string, callDuration long, feeType int,
        feeDurationMinute bigDecimal, callPriceUnit bigDecimal, callPrice bigDecimal, endDirection int,
        endReason string, endReasonName string, callerIp string, calleeIp string, startTime string, endTime string
    """,
}
PAGE_TYPES = {
    FieldType.TEXT: {"String", "string"},
    FieldType.BOOLEAN: {"Boolean"},
    FieldType.INTEGER: {"Integer", "long"},
    FieldType.CODE: {"Integer", "int"},
    FieldType.DECIMAL: {"Double", "bigDecimal"},
    FieldType.EPOCH_MILLISECONDS: {"Long"},
    FieldType.LOCAL_TIME: {"string"},
}

#: Numbers as JSON writes them.
numbers = st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)


def row_of(kind: str, record: bytes, reader: RecordReader | None = None) -> dict[str, Any]:
    names = [field.name for field in FIELDS[kind]] + ["_extra"]
    columns = (reader or READERS[kind]).columns(record)
    return {name: value for name, (value,) in zip(names, columns, strict=True)}


def fits(number: Decimal) -> bool:
    """Say, without the package, whether a decimal(38, 19) can hold a number."""
    scaled = number.as_tuple()
    digits = "".join(map(str, scaled.digits)).lstrip("0")
    kept = digits.rstrip("0")
    exponent = int(scaled.exponent) + len(digits) - len(kept)
    return not kept or (exponent >= -19 and len(kept) + exponent <= 19)


class TestFields:
    @pytest.mark.parametrize("kind", PAGES)
    def test_are_those_of_the_page_in_order(self, kind: str) -> None:
        page = [line.split() for line in " ".join(PAGES[kind].split()).split(", ")]
        assert [field.name for field in FIELDS[kind]] == [name for name, _ in page]
        for field, (_, page_type) in zip(FIELDS[kind], page, strict=True):
            assert page_type in PAGE_TYPES[field.type]

    def test_times_and_codes_are_told_from_plain_numbers_and_texts(self) -> None:
        types = {field.type: set[str]() for fields in FIELDS.values() for field in fields}
        for field in (*FIELDS[CC], *FIELDS[DID]):
            types[field.type].add(field.name)
        assert types[FieldType.EPOCH_MILLISECONDS] == {name.name for name in FIELDS[CC] if name.name.endswith("Time")}
        assert types[FieldType.LOCAL_TIME] == {"startTime", "endTime"}
        assert types[FieldType.INTEGER] == {"callDuration", "queueDuration", "ringDuration"}

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
        value = READERS[DID].with_decimals(record)["callPrice"]
        assert type(value) is Decimal
        assert value.as_tuple() == Decimal(text).as_tuple()
        assert READERS[DID].with_texts(record) == {"callPrice": text}

    @pytest.mark.parametrize(
        ("sent", "kept"),
        [
            ("0.1234567890123456789", "0.1234567890123456789"),
            ("1E-7", "0.0000001"),
            ("1.50E+2", "150"),
            ("-0.10", "-0.10"),
            ("2", "2"),
            ("9" * 19 + "." + "9" * 19, "9" * 19 + "." + "9" * 19),
            ("0." + "1" * 19 + "000", "0." + "1" * 19),
            ("0E-400", "0." + "0" * 19),
            ("0E+400", "0"),
        ],
    )
    def test_columns_keep_every_digit_without_exponent(self, sent: str, kept: str) -> None:
        assert row_of(DID, b'{"callPrice":%b}' % sent.encode())["callPrice"] == kept

    @pytest.mark.parametrize(
        "text", ["9" * 20, "1E+19", "0." + "1" * 20, "1E-20", "1e999999999", "1e-999999999", "1e99999999999999999999"]
    )
    def test_columns_refuse_what_a_decimal_column_cannot_hold(self, text: str) -> None:
        with pytest.raises(
            RecordValueError, match="Field callPrice of record 17 is no decimal: it needs more"
        ) as caught:
            row_of(DID, b'{"id":17,"callPrice":%b}' % text.encode())
        assert text not in str(caught.value)

    @examples(300)
    @given(numbers)
    def test_none_changes_its_value(self, text: str) -> None:
        record = b'{"totalCustomerPrice":%b,"unknown":%b}' % (text.encode(), text.encode())
        values = READERS[CC].with_decimals(record)
        assert values["totalCustomerPrice"] == values["unknown"] == Decimal(text)
        assert type(values["totalCustomerPrice"]) is Decimal
        assert not isinstance(values["unknown"], float)
        assert Decimal(READERS[CC].with_texts(record)["totalCustomerPrice"]) == Decimal(text)

    @examples(300)
    @given(numbers)
    def test_a_column_holds_a_number_exactly_or_refuses_it(self, text: str) -> None:
        record = b'{"callId":"a","totalCustomerPrice":%b,"unknown":%b}' % (text.encode(), text.encode())
        if fits(Decimal(text)):
            row = row_of(CC, record)
            assert Decimal(row["totalCustomerPrice"]) == Decimal(text)
            assert "E" not in row["totalCustomerPrice"].upper()
            assert row["_extra"] == f'{{"unknown":{text}}}'
        else:
            with pytest.raises(RecordValueError, match="Field totalCustomerPrice of record 'a'"):
                row_of(CC, record)

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
            FieldType.DECIMAL: str,
            FieldType.EPOCH_MILLISECONDS: int,
            FieldType.LOCAL_TIME: int,
        }
        for record in records_of_day(endpoint, 300):
            row = row_of(endpoint.kind, encode(record).encode())
            assert row["_extra"] is None
            for field in FIELDS[endpoint.kind]:
                assert row[field.name] is None or type(row[field.name]) is types[field.type]

    def test_milliseconds(self) -> None:
        row = row_of(CC, b'{"startTime":1690442492841,"answerTime":0,"endTime":null,"ringTime":-1}')
        assert row["startTime"] == 1690442492841
        assert row["answerTime"] is row["endTime"] is None
        assert row["ringTime"] == -1

    def test_wall_clock_times(self) -> None:
        row = row_of(DID, b'{"startTime":"2026-03-17 08:00:59","endTime":""}')
        assert row["startTime"] == datetime(2026, 3, 17, 0, 0, 59, tzinfo=UTC).timestamp() * 1000
        assert row["endTime"] is None

    @pytest.mark.parametrize(
        ("wall_clock", "moment"),
        [
            ("2026-03-29 01:59:59", datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC)),
            ("2026-03-29 02:30:00", datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),  # skipped: as if before the change
            ("2026-03-29 03:00:00", datetime(2026, 3, 29, 1, tzinfo=UTC)),
            ("2026-10-25 02:30:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),  # twice: its first occurrence
            ("2026-10-25 03:00:00", datetime(2026, 10, 25, 2, tzinfo=UTC)),
            ("2026-10-25T03:00:00", datetime(2026, 10, 25, 2, tzinfo=UTC)),
            ("2026-10-25 03:00", datetime(2026, 10, 25, 2, tzinfo=UTC)),
            ("2026-10-25 03:00:00.000", datetime(2026, 10, 25, 2, tzinfo=UTC)),
            ("2026-10-25 03:00:00+05:30", datetime(2026, 10, 24, 21, 30, tzinfo=UTC)),
            ("2026-10-25T10+08:05", datetime(2026, 10, 25, 1, 55, tzinfo=UTC)),
        ],
    )
    def test_wall_clock_times_in_a_zone_with_summer_time(self, wall_clock: str, moment: datetime) -> None:
        reader = RecordReader(DID_CDR, ZoneInfo("Europe/Berlin"))
        row = row_of(DID, b'{"startTime":"%b"}' % wall_clock.encode(), reader)
        assert row["startTime"] == moment.timestamp() * 1000

    @examples(300)
    @given(st.integers(-(10**9), 4 * 10**9), st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "Australia/Lord_Howe"]))
    def test_any_wall_clock_time_is_its_first_occurrence(self, seconds: int, name: str) -> None:
        zone = ZoneInfo(name)
        local = datetime.fromtimestamp(seconds, zone)
        sent = f"{local:%Y-%m-%d %H:%M:%S}"
        row = row_of(DID, b'{"startTime":"%b"}' % sent.encode(), RecordReader(DID_CDR, zone))
        assert row["startTime"] == int(local.replace(fold=0).timestamp()) * 1000
        read = datetime.fromtimestamp(row["startTime"] // 1000, zone)
        assert f"{read:%Y-%m-%d %H:%M:%S}" == sent
        assert timedelta(0) <= local.astimezone(UTC) - read.astimezone(UTC) <= timedelta(hours=2)

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
            (CC, "callDuration", "8520852085208520852085208520"),
            (CC, "callDuration", "9223372036854775808"),
            (CC, "direction", "-9223372036854775809"),
            (CC, "startTime", "253402300800000"),
            (CC, "totalCustomerPrice", '"8520\\n8520"'),
            (DID, "startTime", '"8520-03-17 08:00:60"'),
            (DID, "startTime", '"8520-03-17 08:00:00.5"'),
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

    @pytest.mark.parametrize("value", ['"0.5"', '""', "true", "[1]", '{"amount":1}'])
    def test_money_must_be_a_number(self, value: str) -> None:
        with pytest.raises(RecordValueError, match="Field callPrice of record 7 is no decimal: it is not a number"):
            row_of(DID, b'{"id":7,"callPrice":%b}' % value.encode())

    def test_a_record_without_key_is_told_of_too(self) -> None:
        with pytest.raises(RecordValueError, match="Field callDuration of a record without key is no integer"):
            row_of(CC, b'{"callDuration":"x"}')
        with pytest.raises(RecordValueError, match="Field callId of a record without key is no text") as caught:
            row_of(CC, b'{"callId":["12025550100"]}')
        assert "2025550" not in str(caught.value)

    def test_text_that_is_no_unicode_is_an_error(self) -> None:
        with pytest.raises(RecordValueError, match="Field caller of record 'a' is no text"):
            row_of(CC, b'{"callId":"a","caller":"\xff"}')
        with pytest.raises(RecordValueError, match="A record of call_center_cdr is not readable"):
            row_of(CC, b'{"callId":"a","caller":"\\ud800"}')

    def test_in_a_batch_the_culprit_is_named(self) -> None:
        batch = [b'{"callId":"c-%d","callDuration":%b}\n' % (i, b"1.5" if i == 7 else b"1") for i in range(9)]
        with pytest.raises(RecordValueError, match="record 'c-7'"):
            READERS[CC].columns(b"".join(batch))

    def test_of_a_batch_each_record_keeps_what_is_its_own(self) -> None:
        batch = [b'{"callId":"a"}\n', b'{"new":1.50,"callId":"b"}\n', b"{}\n"]
        columns = READERS[CC].columns(b"".join(batch))
        assert columns[7] == ["a", "b", None]
        assert columns[-1] == [None, '{"new":1.50}', None]

    @each_kind
    def test_no_record_at_all(self, endpoint: Endpoint) -> None:
        assert READERS[endpoint.kind].columns(b"") == [[]] * (len(FIELDS[endpoint.kind]) + 1)


@pytest.mark.parametrize("kind", [CC, DID])
def test_what_is_no_record_is_an_error(kind: str) -> None:
    for text in (b"", b"[]", b"null", b'{"callId":'):
        with pytest.raises(UNREADABLE, match=r"JSON|object|truncated"):
            READERS[kind].with_decimals(text)


def test_names_of_all_kinds_are_known() -> None:
    assert FIELDS.keys() == {endpoint.kind for endpoint in NAMES}
