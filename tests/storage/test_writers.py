"""Writers: how each format writes values, and that the same records give the same bytes."""

from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
import sys
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_nxcloud.api.endpoints import CALL_CENTER_CDR, DID_CDR, ENDPOINTS
from airflow_provider_nxcloud.api.records import RecordReader, RecordValueError
from airflow_provider_nxcloud.storage import parquet
from airflow_provider_nxcloud.storage.formats import SUFFIXES, UNCOMPRESSED, OutputFormat
from airflow_provider_nxcloud.storage.writers import record_writer
from tests.conftest import DAY, ZONE, utc
from tests.emulator import generate_call_center_cdrs, generate_did_cdrs
from tests.emulator.encoding import encode

CC, DID = CALL_CENTER_CDR.kind, DID_CDR.kind
READERS = {endpoint.kind: RecordReader(endpoint, ZONE) for endpoint in ENDPOINTS}
FIELDS = {endpoint.kind: endpoint.fields for endpoint in ENDPOINTS}
JSONL, CSV, PARQUET = OutputFormat("jsonl", None), OutputFormat("csv", None), OutputFormat("parquet", "zstd")
OUTPUTS = [
    OutputFormat(name, None if codec == UNCOMPRESSED else codec)
    for name, codecs in SUFFIXES.items()
    for codec in codecs
]
EACH_OUTPUT = pytest.mark.parametrize("output", OUTPUTS, ids=lambda output: f"{output.name}-{output.compression}")
FACTS = {"kind": "did_cdr", "interval_start": "2026-03-16T16:00:00Z", "provider_version": "1.2.3"}


def written(output: OutputFormat, *records: bytes, kind: str = CC, batch_size: int = 1000) -> bytes:
    file = io.BytesIO()
    lines = [record + b"\n" for record in records]
    with record_writer(file, output, READERS[kind], FACTS) as writer:
        for start in range(0, max(len(lines), 1), batch_size):
            writer.write(b"".join(lines[start : start + batch_size]))
    assert not file.closed
    return file.getvalue()


def csv_rows(*records: bytes, kind: str = CC) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(written(CSV, *records, kind=kind).decode(), newline="")))


def table(*records: bytes, kind: str = CC, **options: Any) -> pa.Table:
    return pq.read_table(io.BytesIO(written(PARQUET, *records, kind=kind, **options)))


def day(kind: str, count: int) -> list[bytes]:
    generate = generate_call_center_cdrs if kind == CC else generate_did_cdrs
    return [encode(record).encode() for record in generate(DAY, count)]


class TestEveryFormat:
    @EACH_OUTPUT
    @pytest.mark.parametrize("kind", [CC, DID])
    def test_the_same_records_give_the_same_bytes_in_whatever_batches(
        self, output: OutputFormat, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(parquet, "PART_BYTES", 20_000)
        monkeypatch.setattr(parquet, "ROW_GROUP_PARTS", 5)
        records = day(kind, 500)
        first = written(output, *records, kind=kind)
        assert written(output, *records, kind=kind) == first
        if output.name == "parquet" or output.compression is None:
            assert written(output, *records, kind=kind, batch_size=7) == first

    @pytest.mark.parametrize(
        "wrong",
        [
            {"callDuration": "12025550100"},
            {"callDuration": 1.5},
            {"callDuration": 2**63},
            {"answered": 1},
            {"startTime": "12025550100"},
            {"startTime": 10**18},
            {"caller": True},
            {"caller": ["12025550100"]},
            {"totalCustomerPrice": "12025550100 yuan"},
            {"totalCustomerPrice": 12025550100 * 10**10},
            {"totalCustomerPrice": 1e-20},
        ],
    )
    @pytest.mark.parametrize("output", [CSV, PARQUET], ids=["csv", "parquet"])
    def test_a_value_that_does_not_fit_names_record_and_field_but_not_itself(
        self, output: OutputFormat, wrong: dict[str, object]
    ) -> None:
        record = json.dumps({"callId": "c-17", **wrong}).encode()
        (field,) = wrong
        with pytest.raises(RecordValueError, match=f"{field} of record 'c-17'") as raised:
            written(output, record)
        assert "12025550100" not in str(raised.value)


class TestJsonLines:
    def test_are_the_records_as_they_came(self) -> None:
        record = b'{"callId":"a","totalCustomerPrice":1E-7,"new":{"x":[1.0]}}'
        assert written(JSONL, record, record) == record + b"\n" + record + b"\n"
        assert gzip.decompress(written(OutputFormat("jsonl", "gzip"), record)) == record + b"\n"

    def test_money_of_any_size_stays(self) -> None:
        record = b'{"totalCustomerPrice":1E-400}'
        assert written(JSONL, record) == record + b"\n"


class TestCsv:
    def test_lines_end_as_the_rfc_says_under_a_header(self) -> None:
        names = [field.name for field in FIELDS[DID]] + ["_extra"]
        assert written(CSV, kind=DID) == (",".join(names) + "\r\n").encode()
        assert written(CSV, b'{"id":1}', kind=DID) == (",".join(names) + "\r\n1" + "," * 17 + "\r\n").encode()

    def test_null_is_nothing_and_empty_text_is_two_quotes(self) -> None:
        line = (
            written(CSV, b'{"id":null,"number":"","callNumber":"1","startTime":""}', kind=DID).decode().splitlines()[1]
        )
        assert line == ',"",1' + "," * 15

    def test_keeps_every_digit_and_every_unknown_field(self) -> None:
        (row,) = csv_rows(
            b'{"callId":"=1+1","agentNickName":"a \\"b\\", c\\nd","totalCustomerPrice":1E-7,"startTime":0,'
            b'"new":0.10,"more":{"x":[1.0]}}'
        )
        assert row["callId"] == "=1+1"
        assert row["agentNickName"] == 'a "b", c\nd'
        assert row["totalCustomerPrice"] == "0.0000001"
        assert row["startTime"] == ""
        assert row["_extra"] == '{"new":0.10,"more":{"x":[1.0]}}'

    def test_money_keeps_more_digits_than_a_float(self) -> None:
        (row,) = csv_rows(b'{"id":1,"callPrice":0.1234567890123456789,"callPriceUnit":2}', kind=DID)
        assert (row["callPrice"], row["callPriceUnit"]) == ("0.1234567890123456789", "2")

    @pytest.mark.parametrize(
        ("milliseconds", "text"),
        [
            (1690442492841, "2023-07-27T07:21:32.841Z"),
            (1690442492000, "2023-07-27T07:21:32.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (-62135596800000, "0001-01-01T00:00:00.000Z"),
            (253402300799999, "9999-12-31T23:59:59.999Z"),
        ],
    )
    def test_times(self, milliseconds: int, text: str) -> None:
        (row,) = csv_rows(b'{"startTime":%d}' % milliseconds)
        assert row["startTime"] == text

    def test_booleans_and_wall_clock_times(self) -> None:
        first, second = csv_rows(b'{"answered":true}', b'{"answered":false}')
        assert (first["answered"], second["answered"]) == ("true", "false")
        (row,) = csv_rows(b'{"startTime":"2026-03-17 08:00:09"}', kind=DID)
        assert row["startTime"] == "2026-03-17T00:00:09Z"

    @settings(max_examples=300, derandomize=True, database=None)
    @given(st.lists(st.one_of(st.none(), st.text()), min_size=1, max_size=5))
    def test_any_text_comes_back(self, texts: list[str | None]) -> None:
        rows = csv_rows(*(json.dumps({"other": text}).encode() for text in texts))
        assert [row["other"] for row in rows] == [text or "" for text in texts]

    def test_needs_no_pyarrow(self) -> None:
        program = """
import sys
from airflow_provider_nxcloud.storage import writers
assert not any(name.startswith(("pyarrow", "pandas", "numpy")) for name in sys.modules)
"""
        subprocess.run([sys.executable, "-c", program], check=True)


class TestParquet:
    def test_types(self) -> None:
        types = {field.name: str(field.type) for field in table(kind=CC).schema}
        assert types["callId"] == types["caller"] == types["_extra"] == "string"
        assert types["answered"] == "bool"
        assert types["callDuration"] == types["direction"] == "int64"
        assert types["startTime"] == "timestamp[ms, tz=UTC]"
        assert types["totalCustomerPrice"] == "decimal128(38, 19)"
        types = {field.name: str(field.type) for field in table(kind=DID).schema}
        assert types["id"] == "string"
        assert types["startTime"] == "timestamp[ms, tz=UTC]"

    @pytest.mark.parametrize("kind", [CC, DID])
    def test_fields_carry_their_meaning(self, kind: str) -> None:
        schema = table(kind=kind).schema
        assert schema.names == [field.name for field in FIELDS[kind]] + ["_extra"]
        for field in FIELDS[kind]:
            assert schema.field(field.name).metadata[b"meaning"].decode() == field.meaning
        assert schema.field("callDuration").metadata[b"unit"] == b"s"
        code = "direction" if kind == CC else "callType"
        assert json.loads(schema.field(code).metadata[b"codes"])["1"] == "outgoing"
        assert schema.field("endTime").metadata.keys() == {b"meaning"}

    def test_the_file_tells_what_it_holds(self) -> None:
        metadata = pq.read_metadata(io.BytesIO(written(PARQUET))).metadata
        assert {name: metadata[f"nxcloud.{name}".encode()].decode() for name in FACTS} == FACTS

    def test_values(self) -> None:
        (row,) = table(
            b'{"callId":"","answered":false,"startTime":1690442492841,"endTime":0,"direction":2,"caller":"0012",'
            b'"totalCustomerPrice":0.1234567890123456789,"more":[1.0]}'
        ).to_pylist()
        assert (row["callId"], row["caller"], row["answered"], row["direction"]) == ("", "0012", False, 2)
        assert row["startTime"] == utc(2023, 7, 27, 7, 21, 32, 841_000)
        assert row["endTime"] is row["agentName"] is None
        assert row["totalCustomerPrice"] == Decimal("0.1234567890123456789")
        assert row["_extra"] == '{"more":[1.0]}'

    @settings(max_examples=200, derandomize=True, database=None)
    @given(st.lists(st.tuples(st.one_of(st.none(), st.text()), st.datetimes(datetime(2, 1, 1)), st.integers())))
    def test_any_text_and_any_moment_come_back(self, values: list[tuple[str | None, datetime, int]]) -> None:
        rows = [
            {"other": text, "startTime": round(moment.replace(tzinfo=ZONE).timestamp() * 1000), "new": number}
            for text, moment, number in values
        ]
        read = table(*(json.dumps(row).encode() for row in rows))
        assert read["other"].to_pylist() == [row["other"] for row in rows]
        assert read["startTime"].cast(pa.int64()).to_pylist() == [row["startTime"] or None for row in rows]
        assert [json.loads(text) for text in read["_extra"].to_pylist()] == [{"new": row["new"]} for row in rows]

    @settings(max_examples=200, derandomize=True, database=None)
    @given(st.lists(st.decimals(-(10**18), 10**18, allow_nan=False, places=19)))
    def test_any_money_comes_back(self, amounts: list[Decimal]) -> None:
        read = table(*(b'{"totalCustomerPrice":%b}' % str(amount).encode() for amount in amounts))
        assert read["totalCustomerPrice"].to_pylist() == amounts

    def test_a_row_group_ends_with_the_record_that_fills_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(parquet, "PART_BYTES", 20_000)
        monkeypatch.setattr(parquet, "ROW_GROUP_PARTS", 5)
        records = day(CC, 500)
        metadata = pq.read_metadata(io.BytesIO(written(PARQUET, *records, batch_size=61)))
        longest = max(map(len, records)) + 1
        start = 0
        for index in range(metadata.num_row_groups):
            end = start + metadata.row_group(index).num_rows
            size = sum(len(record) + 1 for record in records[start:end])
            assert size < 100_000 + 5 * longest
            assert size >= 100_000 or end == len(records)
            start = end
        assert start == len(records)
        assert metadata.num_row_groups > 2

    def test_no_record_is_a_file_without_row_groups(self) -> None:
        metadata = pq.read_metadata(io.BytesIO(written(PARQUET)))
        assert (metadata.num_rows, metadata.num_row_groups) == (0, 0)

    @pytest.mark.parametrize("codec", SUFFIXES["parquet"])
    def test_compression(self, codec: str) -> None:
        output = OutputFormat("parquet", None if codec == UNCOMPRESSED else codec)
        column = pq.read_metadata(io.BytesIO(written(output, *day(CC, 10)))).row_group(0).column(0)
        assert column.compression == ("UNCOMPRESSED" if codec == UNCOMPRESSED else codec.upper())

    def test_a_full_disk_is_told_as_it_is(self, tmp_path: Path) -> None:
        class FullDisk(io.BytesIO):
            def write(self, data: Any) -> int:
                raise OSError(28, "No space left on device")

        with (
            pytest.raises(OSError, match="No space left"),
            record_writer(FullDisk(), PARQUET, READERS[CC]) as writer,
        ):
            writer.write(b"{}\n")
