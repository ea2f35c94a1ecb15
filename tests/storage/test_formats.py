"""Formats: what is chosen by the path's suffix, by the explicit choices, and by both."""

from __future__ import annotations

import sys

import pytest

from airflow_provider_nxcloud.storage.formats import OutputFormat, output_format, suffix_format


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/landing/day.jsonl", OutputFormat("jsonl", None)),
        ("/landing/day.JSONL.gz", OutputFormat("jsonl", "gzip")),
        ("s3://bucket/day.csv", OutputFormat("csv", None)),
        ("s3://bucket/day.csv.gz", OutputFormat("csv", "gzip")),
        ("s3://bucket/day.parquet", OutputFormat("parquet", "zstd")),
        ("s3://bucket/cdr", None),
        ("s3://bucket/v1.2/cdr/", None),
        ("s3://jsonl", None),
        ("s3://bucket/day.csv/", OutputFormat("csv", None)),
    ],
)
def test_suffix(path: str, expected: OutputFormat | None) -> None:
    assert suffix_format(path) == expected


@pytest.mark.parametrize("name", ["day.json", "day.gz", "day.txt", "day.ndjson", "day.csv.zip", "day.parquet.gz"])
def test_a_foreign_suffix_is_no_folder(name: str) -> None:
    with pytest.raises(ValueError, match=r"\.jsonl, \.jsonl\.gz, \.csv, \.csv\.gz, \.parquet$"):
        suffix_format(f"/landing/{name}")


@pytest.mark.parametrize(
    ("path", "name", "compression", "expected"),
    [
        ("/landing", None, None, OutputFormat("jsonl", None)),
        ("/landing", None, "none", OutputFormat("jsonl", None)),
        ("/landing", None, "gzip", OutputFormat("jsonl", "gzip")),
        ("/landing", "csv", None, OutputFormat("csv", None)),
        ("/landing", "csv", "gzip", OutputFormat("csv", "gzip")),
        ("/landing", "parquet", None, OutputFormat("parquet", "zstd")),
        ("/landing", "parquet", "zstd", OutputFormat("parquet", "zstd")),
        ("/landing", "parquet", "snappy", OutputFormat("parquet", "snappy")),
        ("/landing", "parquet", "gzip", OutputFormat("parquet", "gzip")),
        ("/landing", "parquet", "none", OutputFormat("parquet", None)),
        ("/landing/day.csv.gz", None, None, OutputFormat("csv", "gzip")),
        ("/landing/day.csv.gz", "csv", "gzip", OutputFormat("csv", "gzip")),
        ("/landing/day.csv", "csv", "none", OutputFormat("csv", None)),
        ("/landing/day.parquet", None, "gzip", OutputFormat("parquet", "gzip")),
        ("/landing/day.parquet", "parquet", "none", OutputFormat("parquet", None)),
    ],
)
def test_what_is_chosen(path: str, name: str | None, compression: str | None, expected: OutputFormat) -> None:
    output = output_format(path, name, compression)
    assert output == expected
    assert suffix_format(f"day{output.suffix}") in (output, OutputFormat("parquet", "zstd"))


@pytest.mark.parametrize(
    ("path", "name", "compression", "message"),
    [
        ("/landing", "xml", None, "output_format must be one of jsonl, csv, parquet, not 'xml'"),
        ("/landing", None, "rar", "compression of jsonl must be one of none, gzip, not 'rar'"),
        ("/landing", "csv", "zstd", "compression of csv must be one of none, gzip, not 'zstd'"),
        ("/landing", "parquet", "lz4", "compression of parquet must be one of zstd, snappy, gzip, none, not 'lz4'"),
        ("/landing/day.csv", "jsonl", None, "contradicts"),
        ("/landing/day.csv", "parquet", None, "contradicts"),
        ("/landing/day.parquet", "csv", None, "contradicts"),
        ("/landing/day.csv", None, "gzip", "contradicts"),
        ("/landing/day.csv.gz", None, "none", "contradicts"),
        ("/landing/day.csv.gz", "jsonl", "gzip", "contradicts"),
    ],
)
def test_what_is_refused(path: str, name: str | None, compression: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        output_format(path, name, compression)


@pytest.mark.parametrize("path", ["/landing", "/landing/day.parquet"])
def test_parquet_without_pyarrow_names_the_extra(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ValueError, match=r"airflow-provider-nxcloud\[parquet\]"):
        output_format(path, "parquet", None)
    assert output_format("/landing", "csv", None) == OutputFormat("csv", None)
