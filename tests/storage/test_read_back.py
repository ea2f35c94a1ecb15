"""What lands is the truth, record by record and digit by digit, whoever reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_nxcloud.operators.cdr import NXCloudCallCenterCdrOperator, NXCloudDidCdrOperator
from tests.conftest import DAY, DAY_END, DAY_START
from tests.emulator import Emulator, generate_call_center_cdrs, generate_did_cdrs
from tests.storage import read_back
from tests.storage.read_back import sorted_rows, true_line, true_row, true_texts

Truth = Callable[[str, dict[str, Any]], Any]

#: For each format, those who read it, and what they should find of a record.
READERS: dict[str, list[tuple[read_back.Reader, Truth]]] = {
    "jsonl": [
        (read_back.lines_by_python, lambda _, record: record),
        (read_back.lines_by_duckdb, lambda _, record: record),
        (read_back.lines_by_pyarrow, true_line),
    ],
    "csv": [
        (read_back.csv_by_python, true_texts),
        (read_back.csv_by_duckdb, true_row),
        (read_back.csv_by_pyarrow, true_row),
    ],
    "parquet": [(read_back.parquet_by_duckdb, true_row), (read_back.parquet_by_pyarrow, true_row)],
}
OUTPUTS = [
    ("jsonl", "none"),
    ("jsonl", "gzip"),
    ("csv", "none"),
    ("csv", "gzip"),
    ("parquet", "zstd"),
    ("parquet", "snappy"),
    ("parquet", "gzip"),
    ("parquet", "none"),
]
LARGE = pytest.param(200_000, marks=[pytest.mark.large, pytest.mark.timeout(900)])


@pytest.fixture(scope="module", params=["call_center", "did"])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module", params=[0, 1, 1000, LARGE])
def server(kind: str, request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """Return an emulator that holds so many records of the kind."""
    generate = {"call_center": generate_call_center_cdrs, "did": generate_did_cdrs}[kind]
    records: dict[str, Any] = {kind: generate(DAY, request.param)}
    server = Emulator(**records)
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize(("output_format", "compression"), OUTPUTS)
def test_what_is_read_back_is_the_truth(
    kind: str,
    server: Emulator,
    output_format: str,
    compression: str,
    connection: Callable[[Emulator], str],
    tmp_path: Path,
) -> None:
    connection(server)
    operator = {"call_center": NXCloudCallCenterCdrOperator, "did": NXCloudDidCdrOperator}[kind]
    manifest: Any = operator(
        task_id="fetch",
        interval_start=DAY_START,
        interval_end=DAY_END,
        output_path=str(tmp_path),
        output_format=output_format,
        compression=compression,
    ).execute({})
    records = (
        server.call_center_cdrs(DAY_START, DAY_END) if kind == "call_center" else server.did_cdrs(DAY_START, DAY_END)
    )
    assert manifest["records"] == len(records)
    for read, truth in READERS[output_format]:
        found = read(kind, Path(manifest["path"]))
        assert sorted_rows(found) == sorted_rows(truth(kind, record) for record in records), read.__name__
