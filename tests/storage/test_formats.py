"""Formats: what a path's suffix says, and what is written."""

from __future__ import annotations

import csv
import gzip
import io
import json

import pytest

from airflow_provider_nxcloud.api.records import RecordReader, RecordValueError
from airflow_provider_nxcloud.storage.formats import OutputFormat, output_format, record_writer, suffix_format
from tests.conftest import ZONE


def written(output: OutputFormat, *records: bytes, kind: str = "call_center_cdr") -> bytes:
    file = io.BytesIO()
    with record_writer(file, output, RecordReader(kind, ZONE)) as writer:
        writer.write([record + b"\n" for record in records])
    return file.getvalue()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/landing/day.jsonl", OutputFormat("jsonl", None)),
        ("/landing/day.JSONL.gz", OutputFormat("jsonl", "gzip")),
        ("s3://bucket/day.csv", OutputFormat("csv", None)),
        ("s3://bucket/day.csv.gz", OutputFormat("csv", "gzip")),
        ("s3://bucket/cdr", None),
        ("s3://bucket/v1.2/cdr/", None),
        ("s3://jsonl", None),
        ("s3://bucket/day.csv/", OutputFormat("csv", None)),
    ],
)
def test_suffix(path: str, expected: OutputFormat | None) -> None:
    assert suffix_format(path) == expected


@pytest.mark.parametrize("name", ["day.json", "day.gz", "day.txt", "day.ndjson", "day.csv.zip"])
def test_a_foreign_suffix_is_no_folder(name: str) -> None:
    with pytest.raises(ValueError, match=r"\.jsonl\.gz"):
        suffix_format(f"/landing/{name}")


def test_the_default_is_plain_json_lines() -> None:
    assert output_format("/landing", None, None) == OutputFormat("jsonl", None)
    assert output_format("/landing", "csv", "gzip").suffix == ".csv.gz"
    assert output_format("/landing/day.csv.gz", "csv", "gzip") == OutputFormat("csv", "gzip")


def test_json_lines_are_the_records_as_they_came() -> None:
    record = b'{"callId":"a","totalCustomerPrice":1E-7,"new":{"x":[1.0]}}'
    assert written(OutputFormat("jsonl", None), record, record) == record + b"\n" + record + b"\n"
    assert gzip.decompress(written(OutputFormat("jsonl", "gzip"), record)) == record + b"\n"


def test_csv_keeps_every_digit_and_every_unknown_field() -> None:
    record = (
        b'{"callId":"=1+1","agentNickName":"a \\"b\\", c\\nd","totalCustomerPrice":1E-7,"startTime":0,'
        b'"new":0.10,"more":{"x":[1.0]}}'
    )
    (row,) = csv.DictReader(io.StringIO(written(OutputFormat("csv", None), record).decode(), newline=""))
    assert row["callId"] == "=1+1"
    assert row["agentNickName"] == 'a "b", c\nd'
    assert row["totalCustomerPrice"] == "0.0000001"
    assert row["startTime"] == ""
    assert row["_extra"] == '{"new":0.10,"more":{"x":[1.0]}}'


def test_csv_money_keeps_more_digits_than_a_float() -> None:
    record = b'{"id":1,"callPrice":0.1234567890123456789,"callPriceUnit":2}'
    content = written(OutputFormat("csv", None), record, kind="did_cdr").decode()
    (row,) = csv.DictReader(io.StringIO(content, newline=""))
    assert (row["callPrice"], row["callPriceUnit"]) == ("0.1234567890123456789", "2")


@pytest.mark.parametrize(
    "wrong",
    [
        {"callDuration": "12025550100"},
        {"callDuration": 1.5},
        {"answered": 1},
        {"startTime": "12025550100"},
        {"startTime": 10**18},
        {"caller": True},
        {"caller": ["12025550100"]},
        {"totalCustomerPrice": "12025550100 yuan"},
    ],
)
def test_a_value_that_does_not_fit_names_record_and_field_but_not_itself(wrong: dict[str, object]) -> None:
    record = json.dumps({"callId": "c-17", **wrong}).encode()
    (field,) = wrong
    with pytest.raises(RecordValueError, match=f"{field} of record 'c-17'") as raised:
        written(OutputFormat("csv", None), record)
    assert "12025550100" not in str(raised.value)
