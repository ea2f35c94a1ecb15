"""Both operators against the emulator: what they write, what they refuse, and what a failure leaves behind."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar

import pyarrow.parquet as pq
import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    Asset,
    ObjectStoragePath,
)

from airflow_provider_nxcloud import __version__
from airflow_provider_nxcloud.api.errors import NXCloudError, NXCloudMisplacedRecordsError
from airflow_provider_nxcloud.operators.base import NXCloudCdrOperator
from airflow_provider_nxcloud.operators.cdr import (
    NXCloudCallCenterCdrOperator,
    NXCloudDidCdrOperator,
)
from tests.conftest import DAY, DAY_END, DAY_START, ZONE, wait_until
from tests.emulator import Behaviour, Emulator, Fault, generate_call_center_cdrs, generate_did_cdrs

HOUR = 3600
OPERATORS: dict[str, type[NXCloudCdrOperator]] = {
    "call_center": NXCloudCallCenterCdrOperator,
    "did": NXCloudDidCdrOperator,
}
KINDS = pytest.mark.parametrize("kind", list(OPERATORS))

Start = Callable[..., Emulator]
Connect = Callable[..., str]


@pytest.fixture
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the code under test a temporary folder of its own, which it must leave empty."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def server_of(emulator: Start, count: int, **options: Any) -> Emulator:
    return emulator(call_center=generate_call_center_cdrs(DAY, count), did=generate_did_cdrs(DAY, count), **options)


def operator(kind: str, *, start: Any = DAY_START, end: Any = DAY_END, **options: Any) -> NXCloudCdrOperator:
    return OPERATORS[kind](task_id="fetch", interval_start=start, interval_end=end, **options)


def truth(server: Emulator, kind: str, start: int = DAY_START, end: int = DAY_END) -> list[dict[str, Any]]:
    return server.call_center_cdrs(start, end) if kind == "call_center" else server.did_cdrs(start, end)


def lines_of(server: Emulator, kind: str, start: int = DAY_START, end: int = DAY_END) -> Counter[bytes]:
    return Counter(server.json_of(kind, record) for record in truth(server, kind, start, end))


def written(manifest: Any) -> bytes:
    content = Path(manifest["path"]).read_bytes()
    assert manifest["bytes"] == len(content)
    assert manifest["sha256"] == hashlib.sha256(content).hexdigest()
    return gzip.decompress(content) if manifest["compression"] == "gzip" else content


@KINDS
@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 998, 999, 1000, 12_345])
def test_a_day_is_written_exactly(kind: str, count: int, emulator: Start, connection: Connect, tmp_path: Path) -> None:
    server = server_of(emulator, count)
    connection(server)
    manifest: Any = operator(kind, output_path=str(tmp_path)).execute({})
    assert Counter(written(manifest).splitlines()) == lines_of(server, kind)
    assert manifest["records"] == count
    wait_until(lambda: manifest["requests"] == len(server.requests))
    assert (manifest["interval_start"], manifest["interval_end"]) == (
        "2026-03-16T16:00:00Z",
        "2026-03-17T16:00:00Z",
    )
    name = f"{kind}_cdr_20260316T160000Z_20260317T160000Z.jsonl"
    assert manifest["path"] == str(tmp_path / "date=2026-03-17" / name)


@KINDS
@pytest.mark.parametrize("end_time", ["exclusive", "inclusive", "inclusive_seconds"])
def test_tiled_hours_hold_each_record_once(
    kind: str, end_time: str, emulator: Start, connection: Connect, tmp_path: Path
) -> None:
    server = server_of(emulator, 800, end_time=end_time)
    connection(server)
    found: Counter[bytes] = Counter()
    for start in range(DAY_START, DAY_END, HOUR):
        manifest = operator(kind, start=start, end=start + HOUR, output_path=str(tmp_path)).execute({})
        hour = Counter(written(manifest).splitlines())
        assert hour == lines_of(server, kind, start, start + HOUR)
        found += hour
    assert found == lines_of(server, kind)


@KINDS
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_csv_holds_typed_values(
    kind: str, compression: str | None, emulator: Start, connection: Connect, tmp_path: Path
) -> None:
    server = server_of(emulator, 300)
    connection(server)
    manifest = operator(kind, output_path=str(tmp_path), output_format="csv", compression=compression).execute({})
    rows = list(csv.DictReader(StringIO(written(manifest).decode(), newline="")))
    expected = [csv_row(kind, record) for record in truth(server, kind)]
    assert Counter(json.dumps(row, sort_keys=True) for row in rows) == Counter(
        json.dumps(row, sort_keys=True) for row in expected
    )


def csv_row(kind: str, record: dict[str, Any]) -> dict[str, str]:
    """Say, without the package, what a record's row is."""
    milliseconds = {"answerTime", "endTime", "inQueueTime", "outQueueTime", "ringTime", "startTime"}
    row = {"_extra": ""}
    for name, value in record.items():
        if value is None:
            text = ""
        elif kind == "call_center" and name in milliseconds:
            moment = datetime.fromtimestamp(value // 1000, UTC)
            text = f"{moment:%Y-%m-%dT%H:%M:%S}.{value % 1000:03d}Z" if value else ""
        elif kind == "did" and name in {"startTime", "endTime"}:
            moment = datetime.fromisoformat(value).replace(tzinfo=ZONE).astimezone(UTC)
            text = f"{moment:%Y-%m-%dT%H:%M:%S}Z"
        elif isinstance(value, Decimal):
            text = f"{value:f}"
        else:
            text = str(value).lower() if isinstance(value, bool) else str(value)
        row[name] = text
    return row


@KINDS
@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".parquet"])
def test_a_repeated_run_gives_the_same_bytes(
    kind: str, suffix: str, emulator: Start, connection: Connect, tmp_path: Path
) -> None:
    connection(server_of(emulator, 450))
    first, second = (
        operator(kind, output_path=str(tmp_path / name / f"day{suffix}")).execute({}) for name in ("a", "b")
    )
    assert first["sha256"] == second["sha256"]  # type: ignore[call-overload]
    assert first["path"].endswith(f"a/day{suffix}")  # type: ignore[call-overload]


RIGHT_IN_THE_END = {
    "latency": Fault("latency", seconds=0.05, times=3),
    "rate limit": Fault("rate_limit", retry_after=0.01, times=2),
    "rate limit without a time": Fault("rate_limit", times=2),
    "server error": Fault("status", status=502, times=2),
    "reset mid-body": Fault("reset", times=2),
    "closed": Fault("close", times=2),
    "truncated body": Fault("truncate", times=2),
    "truncated JSON": Fault("truncate_json", times=2),
    "not JSON": Fault("not_json", times=2),
    "clock": Fault("clock", seconds=3600),
    "page served twice": Fault("serve_page", page=2, other_page=1),
    "short page": Fault("short_page", page=1, records=3),
}
FAILED = {
    "rate limit that stays": (Fault("rate_limit", times=None), "requests_per_second"),
    "server error that stays": (Fault("status", status=503, times=None), "503"),
    "reset that stays": (Fault("reset", times=None), "network"),
    "not JSON that stays": (Fault("not_json", times=None), "gateway"),
    "truncated JSON that stays": (Fault("truncate_json", times=None), "gateway"),
    "no permission": (Fault("error_code", code=1005, message="no permission"), "ask NXCloud"),
    "wrong signature": (Fault("error_code", code=1003, message="sign error"), "accessSecret"),
    "undocumented code": (Fault("error_code", code=41000, message="End date cannot be empty"), "41000"),
    "redirect": (Fault("redirect", status=302, location="https://elsewhere.example.com/"), "elsewhere.example"),
    "misshapen": (Fault("data", payload="text", times=None), "misshapen"),
}


@KINDS
@pytest.mark.parametrize("fault", RIGHT_IN_THE_END)
def test_a_passing_fault_leaves_the_right_records(
    kind: str, fault: str, emulator: Start, connection: Connect, tmp_path: Path, temporary_folder: Path
) -> None:
    server = server_of(emulator, 250)
    connection(server)
    server.add_fault(RIGHT_IN_THE_END[fault])
    page_size = 100 if kind == "did" else None
    manifest = operator(kind, output_path=str(tmp_path), page_size=page_size).execute({})
    assert Counter(written(manifest).splitlines()) == lines_of(server, kind)


@KINDS
@pytest.mark.parametrize("fault", FAILED)
def test_a_failure_says_why_and_leaves_the_earlier_object(
    kind: str, fault: str, emulator: Start, connection: Connect, tmp_path: Path, temporary_folder: Path
) -> None:
    server = server_of(emulator, 250)
    connection(server)
    page_size = 100 if kind == "did" else None
    task = operator(kind, output_path=str(tmp_path / "landing"), page_size=page_size)
    manifest = task.execute({})
    before = written(manifest)
    failure, remedy = FAILED[fault]
    server.add_fault(failure)
    with pytest.raises((AirflowFailException, NXCloudError), match=remedy):
        task.execute({})
    assert written(manifest) == before
    files = [path for path in (tmp_path / "landing").rglob("*") if path.is_file()]
    assert files == [Path(manifest["path"])]  # type: ignore[call-overload]


def test_only_what_a_retry_can_help_is_left_to_retries(emulator: Start, connection: Connect, tmp_path: Path) -> None:
    server = server_of(emulator, 1)
    connection(server)
    server.add_fault(Fault("error_code", code=1003, message="sign error"))
    with pytest.raises(AirflowFailException):
        operator("did").execute({})
    server.add_fault(Fault("status", status=503, times=None))
    with pytest.raises(NXCloudError) as raised:
        operator("did").execute({})
    assert raised.value.transient


@KINDS
def test_xcom_holds_the_records_with_money_as_text(kind: str, emulator: Start, connection: Connect) -> None:
    server = server_of(emulator, 120)
    connection(server)
    records: Any = operator(kind).execute({})
    expected = [
        {name: str(value) if isinstance(value, Decimal) else value for name, value in record.items()}
        for record in truth(server, kind)
    ]
    for record in expected:
        for name in ("feeDurationMinute", "callPriceUnit", "callPrice", "totalCustomerPrice"):
            if name in record:
                record[name] = str(record[name])
    assert sorted(records, key=str) == sorted(expected, key=str)
    assert json.loads(json.dumps(records)) == records


@KINDS
def test_xcom_refuses_what_is_too_large_and_says_what_to_do(kind: str, emulator: Start, connection: Connect) -> None:
    server = server_of(emulator, 300)
    connection(server)
    records: Any = operator(kind).execute({})
    size = len(json.dumps(records))
    assert operator(kind, max_xcom_bytes=size).execute({}) == records
    with pytest.raises(AirflowFailException, match="set output_path"):
        operator(kind, max_xcom_bytes=size - 1).execute({})


@KINDS
def test_an_empty_interval_is_an_empty_object(kind: str, emulator: Start, connection: Connect, tmp_path: Path) -> None:
    connection(emulator())
    manifest: Any = operator(kind, output_path=str(tmp_path)).execute({})
    assert manifest["records"] == 0
    assert written(manifest) == b""


@KINDS
def test_skip_if_empty_replaces_an_older_object_first(
    kind: str, emulator: Start, connection: Connect, tmp_path: Path
) -> None:
    server = server_of(emulator, 3)
    connection(server)
    task = operator(kind, output_path=str(tmp_path), skip_if_empty=True)
    manifest: Any = task.execute({})
    for record in truth(server, kind):
        server.remove(kind, record["callId" if kind == "call_center" else "id"])
    with pytest.raises(AirflowSkipException):
        task.execute({})
    assert Path(manifest["path"]).read_bytes() == b""


@KINDS
def test_skip_if_empty_writes_nothing_new(kind: str, emulator: Start, connection: Connect, tmp_path: Path) -> None:
    connection(emulator())
    with pytest.raises(AirflowSkipException):
        operator(kind, output_path=str(tmp_path), skip_if_empty=True).execute({})
    with pytest.raises(AirflowSkipException):
        operator(kind, skip_if_empty=True).execute({})
    assert list(tmp_path.iterdir()) == []


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "one edge": ({"end": None}, "both or neither"),
    "reversed edges": ({"end": DAY_START}, "at least one whole second"),
    "no moment": ({"start": "yesterday"}, "'yesterday'"),
    "milliseconds": ({"start": DAY_START * 1000}, "in seconds"),
    "unknown format": ({"output_format": "xml"}, "'xml'"),
    "unknown compression": ({"compression": "rar"}, "'rar'"),
    "contradicting format": ({"output_path": "/landing/day.csv", "output_format": "jsonl"}, "contradicts"),
    "contradicting compression": ({"output_path": "/landing/day.csv", "compression": "gzip"}, "contradicts"),
    "foreign suffix": ({"output_path": "/landing/day.json"}, r"day\.json"),
    "relative path": ({"output_path": "landing"}, "absolute"),
    "unknown storage connection": ({"storage_conn_id": "no_such_store"}, "no_such_store"),
    "unknown storage connection in the URI": ({"output_path": "s3://no_such@landing/cdr"}, "no_such"),
    "two storage connections": ({"output_path": "s3://a@landing/cdr", "storage_conn_id": "b"}, "'b'"),
    "unknown storage": ({"output_path": "nosuch://landing/cdr"}, "extra"),
    "page size": ({"page_size": 1000}, "1000"),
    "concurrency": ({"max_concurrency": 0}, "max_concurrency"),
    "window": ({"window": timedelta(0)}, "window"),
    "consistency": ({"consistency": "triple"}, "'triple'"),
    "lookback alone": ({"start": None, "end": None, "lookback": timedelta(0)}, "CronDataIntervalTimetable"),
    "no interval at all": ({"start": None, "end": None}, "lookback=timedelta"),
    "missing connection": ({"nxcloud_conn_id": "no_such_account"}, "no_such_account"),
}


@KINDS
@pytest.mark.parametrize("mistake", REFUSED)
def test_a_mistake_is_refused_before_the_first_request(
    kind: str, mistake: str, emulator: Start, connection: Connect, tmp_path: Path
) -> None:
    server = server_of(emulator, 1)
    connection(server)
    options, message = REFUSED[mistake]
    with pytest.raises(AirflowFailException, match=message):
        operator(kind, **{"output_path": str(tmp_path), **options}).execute({})
    assert server.requests == []


@KINDS
def test_parquet_without_pyarrow_is_refused_before_the_first_request(
    kind: str, emulator: Start, connection: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = server_of(emulator, 1)
    connection(server)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(AirflowFailException, match=r"airflow-provider-nxcloud\[parquet\]"):
        operator(kind, output_path=str(tmp_path / "day.parquet")).execute({})
    assert server.requests == []


@KINDS
def test_a_value_that_does_not_fit_leaves_the_earlier_object(
    kind: str, emulator: Start, connection: Connect, tmp_path: Path, temporary_folder: Path
) -> None:
    money = "totalCustomerPrice" if kind == "call_center" else "callPrice"
    records = {"call_center": generate_call_center_cdrs, "did": generate_did_cdrs}[kind](DAY, 3)
    good = emulator(**{kind: records})
    connection(good)
    for suffix in ("csv", "csv.gz", "parquet"):
        path = tmp_path / f"day.{suffix}"
        operator(kind, output_path=str(path)).execute({})
        before = path.read_bytes()
        connection(emulator(**{kind: [record | {money: Decimal("1E-20")} for record in records]}))
        with pytest.raises(AirflowFailException, match=f"Field {money} of record"):
            operator(kind, output_path=str(path)).execute({})
        assert path.read_bytes() == before
        connection(good)


@KINDS
def test_a_parquet_file_tells_its_interval(kind: str, emulator: Start, connection: Connect, tmp_path: Path) -> None:
    connection(server_of(emulator, 3))
    manifest: Any = operator(kind, output_path=str(tmp_path), output_format="parquet").execute({})
    metadata = pq.read_metadata(manifest["path"]).metadata
    for name in ("kind", "interval_start", "interval_end"):
        assert metadata[f"nxcloud.{name}".encode()].decode() == manifest[name]
    assert metadata[b"nxcloud.provider_version"].decode() == __version__
    assert (manifest["format"], manifest["compression"]) == ("parquet", "zstd")


@KINDS
def test_an_interval_that_has_not_ended_is_not_fetched(kind: str, emulator: Start, connection: Connect) -> None:
    server = server_of(emulator, 1)
    connection(server)
    end = datetime.now(UTC) + timedelta(hours=1)
    with pytest.raises(AirflowException, match="not complete yet"):
        operator(kind, end=end).execute({})
    assert server.requests == []


def test_filters_reach_the_server_and_keep_objects_apart(emulator: Start, connection: Connect, tmp_path: Path) -> None:
    server = server_of(emulator, 200)
    connection(server)
    wanted = [record for record in truth(server, "call_center") if record["answered"] and record["direction"] == 1]
    manifest: Any = operator(
        "call_center", output_path=str(tmp_path), answered="answered", direction="outgoing"
    ).execute({})
    assert manifest["records"] == len(wanted) > 0
    whole: Any = operator("call_center", output_path=str(tmp_path), answered="all", direction="all").execute({})
    one: Any = operator("call_center", output_path=str(tmp_path), caller=wanted[0]["caller"]).execute({})
    assert len({manifest["path"], whole["path"], one["path"]}) == 3
    assert wanted[0]["caller"] not in one["path"]
    with pytest.raises(AirflowFailException, match="direction must be one of all, incoming, outgoing, aicc"):
        operator("call_center", direction="inbound").execute({})


def test_did_filters(emulator: Start, connection: Connect) -> None:
    server = server_of(emulator, 200)
    connection(server)
    number = truth(server, "did")[0]["number"]
    records: Any = operator("did", did_number=number, call_type="incoming").execute({})
    assert {record["id"] for record in records} == {
        record["id"] for record in truth(server, "did") if record["number"] == number and not record["callType"]
    }


def test_each_outlets_asset_event_carries_the_manifest(emulator: Start, connection: Connect, tmp_path: Path) -> None:
    class Events:
        extra: ClassVar[dict[str, Any]] = {}

        def __getitem__(self, outlet: object) -> Events:
            assert outlet is asset
            return self

    connection(server_of(emulator, 5))
    asset = Asset("file:///landing/cdr")
    manifest = operator("did", output_path=str(tmp_path), outlets=[asset]).execute(
        {"outlet_events": Events()}  # type: ignore[typeddict-item]
    )
    assert Events.extra == manifest


def test_another_kind_of_store(emulator: Start, connection: Connect, memory_store: object) -> None:
    server = server_of(emulator, 40)
    connection(server)
    manifest: Any = operator("did", output_path="memory://landing/cdr").execute({})
    with ObjectStoragePath(manifest["path"]).open("rb") as file:
        assert Counter(file.read().splitlines()) == lines_of(server, "did")


def test_records_in_another_zone_are_an_error_unless_they_are_to_be_kept(
    emulator: Start, connection: Connect, tmp_path: Path
) -> None:
    behaviour = Behaviour(reported_shift_seconds=8 * 3600)
    connection(emulator(call_center=generate_call_center_cdrs(DAY, 50), behaviour=behaviour))
    with pytest.raises(NXCloudMisplacedRecordsError, match="a time zone that somebody mistook looks like this"):
        operator("call_center", output_path=str(tmp_path)).execute({})
    assert list(tmp_path.rglob("*.jsonl")) == []
    manifest: Any = operator("call_center", output_path=str(tmp_path), keep_misplaced=True).execute({})
    assert manifest["records"] == 50
