"""A third kind of records, as CONTRIBUTING.md tells how to add one: an endpoint, its fields and an operator class.

It is invented: SMS detail records, asked for by time range, with a total. Nothing of the package knows of it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import MappingProxyType
from typing import Any, ClassVar, Literal
from zoneinfo import ZoneInfo

import msgspec
import pyarrow.parquet as pq
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_nxcloud.api.completeness.ends import Total
from airflow_provider_nxcloud.api.endpoints import Endpoint
from airflow_provider_nxcloud.api.pages import Facts, Page
from airflow_provider_nxcloud.api.records import Field, FieldType
from airflow_provider_nxcloud.api.windows import Window, time_ranges
from airflow_provider_nxcloud.hooks.nxcloud import NXCloudHook
from airflow_provider_nxcloud.operators.base import NXCloudCdrOperator
from tests.conftest import DAY_END, DAY_START
from tests.emulator.rules import signature

Record = dict[str, Any]

# --- What would go into api/records.py ---

SMS_RECORD_FIELDS = (
    Field("messageId", FieldType.TEXT, "Identifier of the message, the record's key"),
    Field("to", FieldType.TEXT, "Number that it was sent to", personal=True),
    Field("sendTime", FieldType.EPOCH_MILLISECONDS, "When it was sent; what an interval selects by"),
    Field("status", FieldType.CODE, "What became of it", codes=("delivered", "failed")),
    Field("price", FieldType.DECIMAL, "Cost of the message", "CNY"),
)

# --- What would go into api/endpoints.py ---


class _SmsFacts(msgspec.Struct, rename="camel", gc=False):
    message_id: str | None = None
    send_time: int | None = None


class _SmsRecords(msgspec.Struct):
    rows: list[msgspec.Raw]
    total: int


class _SmsFactsOnly(msgspec.Struct):
    rows: list[_SmsFacts]


class _SmsAnswer(msgspec.Struct):
    code: Literal[0]
    data: _SmsRecords


class _SmsAnswerFacts(msgspec.Struct):
    data: _SmsFactsOnly


class SmsRecordEndpoint(Endpoint):
    """SMS detail records: a time range, with a total."""

    kind = "sms_record"
    title = "SMS records"
    fields = SMS_RECORD_FIELDS
    key_field = "messageId"
    path = "/api/sms/record"
    biz_type = "2"
    action = "record"
    max_page_size = 50
    end = Total()
    transient_codes = frozenset({-1})
    filters = MappingProxyType({"status": ("status", MappingProxyType({"delivered": 0, "failed": 1}))})
    _decode_records = msgspec.json.Decoder(_SmsAnswer).decode
    _decode_facts = msgspec.json.Decoder(_SmsAnswerFacts).decode
    _decode_array = msgspec.json.Decoder(list[_SmsFacts]).decode

    def windows(
        self, start: int, end: int, *, filters: Mapping[str, Any], timezone: ZoneInfo, span: timedelta | None
    ) -> Iterator[Window]:
        return time_ranges(start, end, span, filters, ("from", "to"))

    def page_parameters(self, page: int, page_size: int) -> dict[str, int]:
        return {"pageNo": page, "pageSize": page_size}

    def read_page(self, answer: bytes) -> Page:
        data = self._decode_records(answer).data
        return Page(data.rows, _sms_facts(self._decode_facts(answer).data.rows), data.total)

    def read_facts(self, records: bytes) -> Facts:
        return _sms_facts(self._decode_array(records))


def _sms_facts(facts: Sequence[_SmsFacts]) -> Facts:
    return Facts([record.message_id for record in facts], [record.send_time for record in facts])


SMS_RECORD = SmsRecordEndpoint()

# --- What would go into operators/cdr.py ---


class NXCloudSmsRecordOperator(NXCloudCdrOperator):
    """
    Fetch the SMS detail records that were sent in the DAG run's interval.

    :param status: ``delivered`` or ``failed``; None for both (templated)
    """

    endpoint = SMS_RECORD
    filter_fields = ("status",)
    template_fields = (*NXCloudCdrOperator.template_fields, *filter_fields)

    def __init__(self, *, status: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.status = status


# --- Its tests, and the server that they need ---

COUNT = 230
#: Of the day, and the one that shows that the record at its end is the next day's.
PAGES = 5 + 1


def sms(number: int, moment: float) -> Record:
    """Return an invented record; each has a field that no table knows."""
    return {
        "messageId": f"m-{number}",
        "to": f"852000{number:05d}",
        "sendTime": int(moment * 1000),
        "status": number % 2,
        "price": 0.1,
        "carrier": "invented",
    }


class SmsServer(ThreadingHTTPServer):
    """A stand-in that takes the end of a time range as inclusive."""

    access_key, access_secret = "sms-access-key", "sms-access-secret"

    def __init__(self, records: Sequence[Record]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.records = list(records)
        self.url = f"http://127.0.0.1:{self.server_port}"

    def answer(self, query: Mapping[str, Any]) -> Record:
        chosen = [one for one in self.records if query["from"] * 1000 <= one["sendTime"] <= query["to"] * 1000]
        chosen = [one for one in chosen if one["status"] == query.get("status", one["status"])]
        size = query["pageSize"]
        first = (query["pageNo"] - 1) * size
        rows = chosen[first : first + size]
        return {"code": 0, "data": {"total": len(chosen), "pages": -(-len(chosen) // size), "rows": rows}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: SmsServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        addressed = (self.path, headers["biztype"], headers["action"]) == ("/api/sms/record", "2", "record")
        signed = headers["sign"] == signature(headers, body, self.server.access_secret)
        answer = self.server.answer(json.loads(body)) if addressed and signed else {"code": 1003}
        content = json.dumps(answer, separators=(",", ":")).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def server(connection: Callable[..., str]) -> Iterator[SmsServer]:
    step = (DAY_END - DAY_START) / COUNT
    records = [sms(number, DAY_START + number * step) for number in range(COUNT)]
    with SmsServer([*records, sms(COUNT, DAY_END)]) as server:  # the last one belongs to the next day
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        connection(server)
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def operator(**options: Any) -> NXCloudSmsRecordOperator:
    return NXCloudSmsRecordOperator(task_id="fetch", interval_start=DAY_START, interval_end=DAY_END, **options)


def fetched(root: Path, **options: Any) -> Record:
    manifest = operator(output_path=str(root), **options).execute({})
    assert isinstance(manifest, dict)
    return manifest


class TestObjects:
    COLUMNS: ClassVar = ["messageId", "to", "sendTime", "status", "price", "_extra"]

    def test_records_and_manifest(self, server: SmsServer, tmp_path: Path) -> None:
        manifest = fetched(tmp_path)
        path = Path(manifest["path"])
        assert list(map(json.loads, path.read_bytes().splitlines())) == server.records[:COUNT]
        assert path.relative_to(tmp_path).parts[0] == "date=2026-03-17"
        assert path.name == "sms_record_20260316T160000Z_20260317T160000Z.jsonl"
        facts = {name: manifest[name] for name in ("kind", "records", "pages", "duplicates")}
        assert facts == {"kind": "sms_record", "records": COUNT, "pages": PAGES, "duplicates": 0}

    def test_csv(self, server: SmsServer, tmp_path: Path) -> None:
        with Path(fetched(tmp_path, output_format="csv")["path"]).open(newline="") as file:
            header, first, *rest = csv.reader(file)
        assert header == self.COLUMNS
        assert first == ["m-0", "85200000000", "2026-03-16T16:00:00.000Z", "0", "0.1", '{"carrier":"invented"}']
        assert len(rest) == COUNT - 1

    def test_parquet(self, server: SmsServer, tmp_path: Path) -> None:
        table = pq.read_table(fetched(tmp_path, output_format="parquet")["path"], partitioning=None)
        types = ["string", "string", "timestamp[ms, tz=UTC]", "int64", "decimal128(38, 19)", "string"]
        assert [(field.name, str(field.type)) for field in table.schema] == list(zip(self.COLUMNS, types, strict=True))
        assert table.schema.field("price").metadata[b"unit"] == b"CNY"
        assert table["messageId"].to_pylist() == [record["messageId"] for record in server.records[:COUNT]]

    def test_personal_data_goes(self, server: SmsServer, tmp_path: Path) -> None:
        manifest = fetched(tmp_path, redact={"to": "drop"})
        assert manifest["redacted"] == {"to": "drop"}
        assert "85200000" not in Path(manifest["path"]).read_text()

    def test_lineage(self, server: SmsServer, tmp_path: Path) -> None:
        pytest.importorskip("airflow.providers.openlineage")
        task = operator(output_path=str(tmp_path / "day.csv"))
        task.execute({})
        lineage = task.get_openlineage_facets_on_complete(None)
        (source,), (target,) = lineage.inputs, lineage.outputs
        assert (source.namespace, source.name) == (server.url, SMS_RECORD.path)
        assert [field.name for field in target.facets["schema"].fields] == self.COLUMNS


def test_a_filter_to_xcom(server: SmsServer) -> None:
    records: Any = operator(status="failed", window=timedelta(hours=6)).execute({})
    assert [record["messageId"] for record in records] == [f"m-{number}" for number in range(1, COUNT, 2)]


def test_the_hook(server: SmsServer) -> None:
    records = list(NXCloudHook().iter_records(SMS_RECORD, DAY_START, DAY_END))
    assert len(records) == COUNT
    assert records[0]["price"] == Decimal("0.1")


def test_a_wrong_record_is_named(server: SmsServer, tmp_path: Path) -> None:
    server.records[7]["status"] = "lost"
    with pytest.raises(AirflowFailException, match="Field status of record 'm-7' is no code"):
        fetched(tmp_path, output_format="csv")
