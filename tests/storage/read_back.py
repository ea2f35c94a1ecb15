"""What an object holds, read with other people's software; and what it should hold, said without the package."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from tests.conftest import ZONE

#: A record's values in the order of the columns: text, bool, int and None as they are, times in milliseconds.
Row = tuple[Any, ...]
Reader = Callable[[str, Path], list[Row]]

_MONEY = "DECIMAL(38,19)"
_TIME = "TIMESTAMPTZ"
_COLUMNS: Mapping[str, Mapping[str, str]] = {
    "call_center": {
        "agentName": "VARCHAR",
        "agentNickName": "VARCHAR",
        "answered": "BOOLEAN",
        "answerTime": _TIME,
        "callDuration": "BIGINT",
        "callee": "VARCHAR",
        "caller": "VARCHAR",
        "callId": "VARCHAR",
        "direction": "BIGINT",
        "dtmfKeys": "VARCHAR",
        "endTime": _TIME,
        "hangupBy": "BIGINT",
        "hangupCode": "BIGINT",
        "callStatus": "VARCHAR",
        "hangupReason": "VARCHAR",
        "inQueueTime": _TIME,
        "leaveMsgUrl": "VARCHAR",
        "orderId": "VARCHAR",
        "other": "VARCHAR",
        "intent": "VARCHAR",
        "outQueueTime": _TIME,
        "queueDuration": "BIGINT",
        "recordUrl": "VARCHAR",
        "ringDuration": "BIGINT",
        "ringTime": _TIME,
        "startTime": _TIME,
        "taskId": "VARCHAR",
        "totalCustomerPrice": _MONEY,
        "_extra": "VARCHAR",
    },
    "did": {
        "id": "VARCHAR",
        "number": "VARCHAR",
        "callNumber": "VARCHAR",
        "callType": "BIGINT",
        "countryName": "VARCHAR",
        "callDuration": "BIGINT",
        "feeType": "BIGINT",
        "feeDurationMinute": _MONEY,
        "callPriceUnit": _MONEY,
        "callPrice": _MONEY,
        "endDirection": "BIGINT",
        "endReason": "VARCHAR",
        "endReasonName": "VARCHAR",
        "callerIp": "VARCHAR",
        "calleeIp": "VARCHAR",
        "startTime": _TIME,
        "endTime": _TIME,
        "_extra": "VARCHAR",
    },
}
_ARROW = {
    "VARCHAR": pa.string(),
    "BOOLEAN": pa.bool_(),
    "BIGINT": pa.int64(),
    _TIME: pa.timestamp("ms", "UTC"),
    _MONEY: pa.decimal128(38, 19),
}


def true_row(kind: str, record: dict[str, Any]) -> Row:
    """Say what a record's row is; money without the noughts that a column may add."""
    return tuple(_true_value(kind, type_, record.get(name)) for name, type_ in _COLUMNS[kind].items())


def _true_value(kind: str, type_: str, value: Any) -> Any:
    if value is None:
        return None
    if type_ == _TIME and kind == "did":
        moment = datetime.fromisoformat(value).replace(tzinfo=ZONE)
        return int(moment.timestamp()) * 1000
    if type_ == _TIME:
        return value or None
    if type_ == _MONEY:
        return Decimal(value)
    return str(value) if type_ == "VARCHAR" else value


def csv_by_python(kind: str, path: Path) -> list[Row]:
    """Read text as it stands; as it cannot tell null from empty text, both are empty text."""
    opened: Any = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file, strict=True)
    assert header == list(_COLUMNS[kind])
    return [tuple(row) for row in rows]


def true_texts(kind: str, record: dict[str, Any]) -> Row:
    """Say what the texts of a record's CSV row are."""
    texts = []
    for type_, value in zip(_COLUMNS[kind].values(), true_row(kind, record), strict=True):
        if value is None:
            texts.append("")
        elif type_ == _TIME:
            moment = datetime.fromtimestamp(value // 1000, UTC)
            texts.append(f"{moment:%Y-%m-%dT%H:%M:%S}" + (f".{value % 1000:03d}Z" if kind == "call_center" else "Z"))
        elif type_ == _MONEY:
            texts.append(f"{value:f}")
        else:
            texts.append(str(value).lower() if type_ == "BOOLEAN" else str(value))
    return tuple(texts)


def csv_by_duckdb(kind: str, path: Path) -> list[Row]:
    columns = json.dumps(dict(_COLUMNS[kind]))
    return _duckdb_rows(
        kind, f"read_csv('{path}', columns={columns}, header=true, quote='\"', escape='\"', allow_quoted_nulls=false)"
    )


def csv_by_pyarrow(kind: str, path: Path) -> list[Row]:
    types = {name: _ARROW[type_] for name, type_ in _COLUMNS[kind].items()}
    convert = pa.csv.ConvertOptions(
        column_types=types, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
    )
    parse = pa.csv.ParseOptions(newlines_in_values=True)
    return _arrow_rows(pa.csv.read_csv(path, parse_options=parse, convert_options=convert))


def parquet_by_pyarrow(kind: str, path: Path) -> list[Row]:
    table = pq.read_table(path, partitioning=None)
    assert [str(type_) for type_ in table.schema.types] == [str(_ARROW[type_]) for type_ in _COLUMNS[kind].values()]
    return _arrow_rows(table)


def parquet_by_duckdb(kind: str, path: Path) -> list[Row]:
    return _duckdb_rows(kind, f"read_parquet('{path}', hive_partitioning=false)")


def _arrow_rows(table: pa.Table) -> list[Row]:
    columns = [column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column for column in table.columns]
    return list(zip(*(column.to_pylist() for column in columns), strict=True))


def _duckdb_rows(kind: str, source: str) -> list[Row]:
    columns = [f'epoch_ms("{n}")' if type_ == _TIME else f'"{n}"' for n, type_ in _COLUMNS[kind].items()]
    return duckdb.execute(f"SELECT {', '.join(columns)} FROM {source}").fetchall()  # noqa: S608


def lines_by_python(_: str, path: Path) -> list[Any]:
    opened: Any = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rb") as file:
        return [json.loads(line, parse_float=Decimal) for line in file]


def lines_by_duckdb(_: str, path: Path) -> list[Any]:
    """Read the texts: DuckDB's JSON numbers are floats."""
    rows = duckdb.execute(f"SELECT json FROM read_ndjson_objects('{path}')").fetchall()  # noqa: S608
    return [json.loads(text, parse_float=Decimal) for (text,) in rows]


def lines_by_pyarrow(kind: str, path: Path) -> list[Any]:
    """Read the fields that the API's pages name, with the types that JSON has for them."""
    if not lines_by_python(kind, path):
        return []  # pyarrow refuses what is empty
    kept = {_TIME: pa.string() if kind == "did" else pa.int64()}
    types = [(name, kept.get(type_, _ARROW[type_])) for name, type_ in _COLUMNS[kind].items() if name != "_extra"]
    schema = pa.schema([(name, pa.int64() if name == "id" else type_) for name, type_ in types])
    options = pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")
    return pa.json.read_json(path, parse_options=options).to_pylist()  # type: ignore[no-any-return]


def true_line(kind: str, record: dict[str, Any]) -> dict[str, Any]:
    """Say what a record is where all money is decimal."""
    money = [name for name, type_ in _COLUMNS[kind].items() if type_ == _MONEY]
    return record | {name: Decimal(record[name]) for name in money}


def sorted_rows(rows: Iterable[Any]) -> list[str]:
    """Return rows in an order of their own; equal are those whose values are."""
    return sorted(map(repr, map(_plain, rows)))


def _plain(row: Any) -> Any:
    values = row.values() if isinstance(row, dict) else row
    plain = [value.normalize() if isinstance(value, Decimal) else value for value in values]
    return dict(sorted(zip(row, plain, strict=True))) if isinstance(row, dict) else plain
