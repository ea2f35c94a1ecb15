"""No original value of a redacted field is to be found in anything that a task leaves behind."""

from __future__ import annotations

import csv
import gzip
import hashlib
import hmac
import json
import logging
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any, cast

import pyarrow.parquet as pq
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_nxcloud.operators.base import NXCloudCdrOperator
from airflow_provider_nxcloud.operators.cdr import NXCloudCallCenterCdrOperator, NXCloudDidCdrOperator
from airflow_provider_nxcloud.redaction import PERSONAL_FIELDS
from tests.conftest import DAY, DAY_END, DAY_START
from tests.emulator import Emulator, generate_call_center_cdrs, generate_did_cdrs

KEY = "invented-redaction-key-52c1"
OPERATORS: dict[str, type[NXCloudCdrOperator]] = {
    "call_center": NXCloudCallCenterCdrOperator,
    "did": NXCloudDidCdrOperator,
}
KINDS = pytest.mark.parametrize("kind", OPERATORS)
COUNT = 150
#: Format, compression.
OUTPUTS = [
    ("jsonl", "none"),
    ("jsonl", "gzip"),
    ("csv", "none"),
    ("csv", "gzip"),
    ("parquet", "none"),
    ("parquet", "zstd"),
]
#: A field that the provider does not know, as text, number and nested.
UNKNOWN: list[dict[str, Any]] = [
    {"contactPhone": "85200009917", "secondPhone": 85200009918},
    {"contact": {"phones": ["85200009919"], "name": "Invented Person"}},
]


@pytest.fixture
def server(emulator: Callable[..., Emulator], connection: Callable[..., str]) -> Emulator:
    calls, dids = generate_call_center_cdrs(DAY, COUNT), generate_did_cdrs(DAY, COUNT)
    for records in (calls, dids):
        for number, record in enumerate(records):
            if number % 3 == 0:
                record.update(UNKNOWN[number % 2])
            if number % 5 == 0:  # a number that comes as a number
                name = "caller" if records is calls else "callNumber"
                record[name] = int(record[name])
    server = emulator(call_center=calls, did=dids)
    connection(server, redaction_key=KEY)
    return server


def operator(kind: str, **options: Any) -> NXCloudCdrOperator:
    return OPERATORS[kind](task_id="fetch", interval_start=DAY_START, interval_end=DAY_END, **options)


def truth(server: Emulator, kind: str) -> list[dict[str, Any]]:
    records = server.call_center_cdrs if kind == "call_center" else server.did_cdrs
    return records(DAY_START, DAY_END)


def originals(server: Emulator, kind: str) -> set[str]:
    """Return each personal value that the server holds."""
    names = set(PERSONAL_FIELDS[f"{kind}_cdr"])
    values = [record[name] for record in truth(server, kind) for name in names & record.keys()]
    nested = ["85200009917", "85200009918", "85200009919", "Invented Person"]
    return {str(value) for value in [*values, *nested] if value}


def found_in(text: str, values: set[str]) -> set[str]:
    """Return the values that a text holds, as they are or as JSON or CSV writes them."""
    return {value for value in values if any(form in text for form in forms_of(value))}


def forms_of(value: str) -> set[str]:
    return {
        value,
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        value.replace('"', '""'),
    }


def content(path: Path) -> str:
    """Return all that a file holds: its bytes, and what is in them when they are unpacked and read."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        data += gzip.decompress(data)
    text = data.decode("utf-8", "replace")
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        text += str(table.schema.metadata) + json.dumps(table.to_pylist(), default=str, ensure_ascii=False)
    return text


def rows_of(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()  # type: ignore[no-any-return]
    text = (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode()
    if ".jsonl" in path.name:
        return [json.loads(line) for line in text.splitlines()]
    return list(csv.DictReader(StringIO(text, newline="")))


def pseudonym(value: Any) -> str:
    return hmac.new(KEY.encode(), str(value).encode(), hashlib.sha256).hexdigest()


@pytest.fixture
def everything(
    server: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[Callable[[Any], str]]:
    """Return a function that returns all that a task has left: files, its result, its log."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    caplog.set_level(logging.DEBUG)

    def gather(result: Any) -> str:
        files = [f"{path}\n{content(path)}" for path in tmp_path.rglob("*") if path.is_file()]
        return "\n".join([*files, repr(result), json.dumps(result, ensure_ascii=False), caplog.text])

    yield gather
    assert list(temporary.iterdir()) == []


@KINDS
@pytest.mark.parametrize(("output_format", "compression"), OUTPUTS)
def test_files(
    kind: str, output_format: str, compression: str, server: Emulator, tmp_path: Path, everything: Callable[[Any], str]
) -> None:
    personal = PERSONAL_FIELDS[f"{kind}_cdr"]
    options = {"output_path": str(tmp_path / "out"), "output_format": output_format, "compression": compression}
    manifest: Any = operator(kind, redact=personal, **options).execute({})
    assert manifest["redacted"] == dict.fromkeys(personal, "hash")
    secrets = {server.access_key, server.access_secret, KEY}
    assert found_in(everything(manifest), originals(server, kind) | secrets) == set()

    key = "callId" if kind == "call_center" else "id"
    rows = {str(row[key]): row for row in rows_of(Path(manifest["path"]))}
    assert len(rows) == COUNT
    for record in truth(server, kind):
        for name in set(personal) - {"_extra"}:
            expected = pseudonym(record[name]) if record[name] else record[name]
            assert (rows[str(record[key])][name] or None) == (expected or None)


@KINDS
@pytest.mark.parametrize(("output_format", "compression"), OUTPUTS)
def test_the_search_finds_what_is_not_redacted(
    kind: str, output_format: str, compression: str, server: Emulator, tmp_path: Path, everything: Callable[[Any], str]
) -> None:
    options = {"output_path": str(tmp_path / "out"), "output_format": output_format, "compression": compression}
    manifest: Any = operator(kind, **options).execute({})
    assert manifest["redacted"] == {}
    assert found_in(everything(manifest), originals(server, kind)) == originals(server, kind)


@KINDS
@pytest.mark.parametrize("action", ["hash", "drop"])
def test_xcom(kind: str, action: Any, server: Emulator, everything: Callable[[Any], str]) -> None:
    personal = dict.fromkeys(PERSONAL_FIELDS[f"{kind}_cdr"], action)
    options = {"max_xcom_bytes": 10**7}
    records: Any = operator(kind, redact=personal, **options).execute({})
    assert len(records) == COUNT
    assert found_in(everything(records), originals(server, kind)) == set()
    plain = operator(kind, **options).execute({})
    assert found_in(everything(plain), originals(server, kind)) == originals(server, kind)
    if action == "drop":
        assert not set(personal) & {name for record in records for name in record}


@KINDS
@pytest.mark.parametrize("output_format", ["jsonl", "csv", "parquet"])
def test_a_dropped_field_leaves_the_columns_as_they_are(
    kind: str, output_format: str, server: Emulator, tmp_path: Path
) -> None:
    personal: Any = dict.fromkeys(PERSONAL_FIELDS[f"{kind}_cdr"], "drop")

    def rows(redact: Any) -> list[dict[str, Any]]:
        file = str(tmp_path / f"day.{output_format}")
        operator(kind, redact=redact, output_path=file).execute({})
        return rows_of(Path(file))

    whole, dropped = rows(None), rows(personal)
    for before, after in zip(whole, dropped, strict=True):
        if output_format == "jsonl":
            known = before.keys() - {"contactPhone", "secondPhone", "contact"}
            assert after == {name: before[name] for name in known - personal.keys()}
        else:
            assert list(after) == list(before)
            assert {name for name in personal if after[name]} == set()


def test_joins_work_across_kinds_and_runs(emulator: Callable[..., Emulator], connection: Callable[..., str]) -> None:
    call, did = generate_call_center_cdrs(DAY, 1)[0], generate_did_cdrs(DAY, 1)[0]
    connection(
        emulator(call_center=[call | {"caller": "85200001234"}], did=[did | {"callNumber": 85200001234}]),
        redaction_key=KEY,
    )
    calls: list[Any] = [operator("call_center", redact=["caller"]).execute({})[0] for _ in range(2)]  # type: ignore[index]
    dids: Any = operator("did", redact=["callNumber"]).execute({})
    assert {calls[0]["caller"], calls[1]["caller"], dids[0]["callNumber"]} == {pseudonym("85200001234")}


@KINDS
def test_a_rerun_gives_the_same_object(kind: str, server: Emulator, tmp_path: Path) -> None:
    options: Any = {"output_path": str(tmp_path), "redact": PERSONAL_FIELDS[f"{kind}_cdr"]}
    plain: Any = operator(kind, output_path=str(tmp_path)).execute({})
    first, second = [cast(dict[str, Any], operator(kind, **options).execute({})) for _ in range(2)]
    assert (first["path"], first["sha256"]) == (second["path"], second["sha256"])
    assert first["path"] == plain["path"], "the redacted object takes the place of the plain one"
    assert first["sha256"] != plain["sha256"]


def test_a_filters_value_cannot_be_guessed_from_the_objects_name(
    server: Emulator, tmp_path: Path, connection: Callable[..., str], everything: Callable[[Any], str]
) -> None:
    caller = str(truth(server, "call_center")[7]["caller"])

    def name(**options: Any) -> str:
        manifest: Any = operator("call_center", caller=caller, output_path=str(tmp_path), **options).execute({})
        assert caller not in json.dumps(manifest)
        return str(manifest["path"])

    names = [name(redact=["caller"]), name(redact={"caller": "drop"})]
    assert found_in(everything(None), {caller}) == set()
    connection(server, redaction_key=KEY[::-1])
    names += [name(redact=["caller"]), name()]
    assert names[0] == names[1]
    assert len(set(names)) == 3


def test_parquet_tells_what_is_redacted(server: Emulator, tmp_path: Path) -> None:
    redact = {"caller": "hash", "recordUrl": "drop"}
    operator("call_center", redact=redact, output_path=str(tmp_path / "day.parquet")).execute({})
    metadata = pq.read_schema(tmp_path / "day.parquet").metadata
    assert json.loads(metadata[b"nxcloud.redacted"]) == redact


WRONG = {
    "unknown": (["caler"], KEY, "no field 'caler'"),
    "not text": (["startTime"], KEY, "startTime is no text"),
    "not rendered": ("{{ params.fields }}", KEY, "must be a list of fields"),
    "no key": (["caller"], None, "'redaction_key'"),
    "short key": (["caller"], "short-key", "at least 16 characters"),
    "short key, not used": (None, "short-key", "at least 16 characters"),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("settle", [None, timedelta(days=100_000)])
def test_what_is_wrong_is_said_before_the_first_request_and_any_wait(
    case: str, settle: timedelta | None, server: Emulator, connection: Callable[..., str]
) -> None:
    redact, key, message = WRONG[case]
    connection(server, redaction_key=key)
    with pytest.raises(AirflowFailException, match=message) as raised:
        operator("call_center", redact=redact, settle=settle).execute({})
    assert server.requests == []
    assert "short-key" not in str(raised.value)


def test_fields_can_be_templates() -> None:
    task = operator("did", redact=["{{ params.first }}", "callNumber"])
    task.render_template_fields({"params": {"first": "number"}})
    assert task.redact == ["number", "callNumber"]
