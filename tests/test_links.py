"""The link in Airflow's UI to the written object: to the right page, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import s3fs  # type: ignore[import-untyped]
from airflow.models.taskinstancekey import TaskInstanceKey
from airflow.providers.common.compat.sdk import XCom
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_nxcloud.links import XCOM_KEY, NXCloudObjectLink, object_url
from airflow_provider_nxcloud.storage.target import StorageTarget
from tests.conftest import DAY_END, DAY_START, utc
from tests.dag_runs import DagRuns, states
from tests.emulator import Emulator

KEY = "nxcloud/date=2026-03-17/did & more #1 ü+.jsonl"
ELSEWHERE = "https://minio.example.com"
ENCODED_KEY = "nxcloud/date%3D2026-03-17/did%20%26%20more%20%231%20%C3%BC%2B.jsonl"


class GoogleStore(MemoryFileSystem):  # type: ignore[misc]
    """An object store in memory that says, as gcsfs does, to speak to Google."""

    cachable = False
    base = "https://storage.googleapis.com/storage/v1/"


def target(uri: str, fs: object) -> StorageTarget:
    path = uri.partition("://")[2].rpartition("@")[2]
    return StorageTarget(uri, None, fs, path, local=False)


def s3(**options: Any) -> s3fs.S3FileSystem:
    return s3fs.S3FileSystem(key="AKIAINVENTED", secret="invented", skip_instance_cache=True, **options)


@pytest.mark.parametrize(
    ("region", "console"),
    [
        ("us-east-1", "https://console.aws.amazon.com"),
        ("eu-west-1", "https://console.aws.amazon.com"),
        ("cn-north-1", "https://console.amazonaws.cn"),
        ("us-gov-west-1", "https://console.amazonaws-us-gov.com"),
    ],
)
@pytest.mark.parametrize("uri", ["s3://landing", "s3://my_aws@landing", "s3a://landing"])
def test_amazon(uri: str, region: str, console: str) -> None:
    url = object_url(target(f"{uri}/{KEY}", s3(client_kwargs={"region_name": region})))
    assert url == f"{console}/s3/object/landing?region={region}&prefix={ENCODED_KEY}"


@pytest.mark.parametrize("uri", ["gs://landing", "gs://my_google@landing", "gcs://landing"])
def test_google(uri: str) -> None:
    url = object_url(target(f"{uri}/{KEY}", GoogleStore()))
    assert url == f"https://console.cloud.google.com/storage/browser/_details/landing/{ENCODED_KEY};tab=live_object"


def test_what_only_speaks_the_same_protocol_has_no_page_there(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"s3://landing/{KEY}"
    assert object_url(target(uri, s3(endpoint_url=ELSEWHERE))) is None
    assert object_url(target(uri, s3(client_kwargs={"endpoint_url": ELSEWHERE}))) is None
    assert object_url(target(uri, s3(endpoint_url="https://s3.amazonaws.com.example.com"))) is None
    google = GoogleStore()
    google.base = "http://127.0.0.1:4443/storage/v1/"
    assert object_url(target(f"gs://landing/{KEY}", google)) is None
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", ELSEWHERE)
    assert object_url(target(uri, s3())) is None


@pytest.mark.parametrize(
    "uri",
    [
        f"abfs://landing/{KEY}",
        f"memory://landing/{KEY}",
        f"file:///{KEY}",
        f"/{KEY}",
        f"s3://landing/{KEY}",  # with a driver of the user's own
        f"s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/landing/{KEY}",
    ],
)
def test_no_page_no_link(uri: str) -> None:
    fs = s3() if "arn:" in uri else MemoryFileSystem()
    assert object_url(target(uri, fs)) is None


def test_airflow_2_asks_its_web_server(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {XCOM_KEY: "https://console.example.com/object"}
    monkeypatch.setattr(XCom, "get_value", lambda *, key, ti_key: kept.pop(key, None))
    serialized = SimpleNamespace()
    ti_key: Any = TaskInstanceKey("links", "fetch", "run", 1, -1)
    assert NXCloudObjectLink().get_link(serialized, ti_key=ti_key) == "https://console.example.com/object"
    assert NXCloudObjectLink().get_link(serialized, ti_key=ti_key) == ""


DAG = """
import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_nxcloud.operators.cdr import NXCloudCallCenterCdrOperator, NXCloudDidCdrOperator

interval = {{"interval_start": {start}, "interval_end": {end}}}
with DAG("links", schedule=None, start_date=pendulum.datetime(2026, 1, 1)):
    NXCloudDidCdrOperator(task_id="google", output_path="gs://landing/cdr", **interval)
    NXCloudDidCdrOperator.partial(task_id="mapped", output_path="gs://landing/cdr").expand_kwargs([interval])
    NXCloudDidCdrOperator(task_id="xcom", **interval)
    NXCloudDidCdrOperator(task_id="local", output_path="{folder}", **interval)
    NXCloudCallCenterCdrOperator(task_id="refused", output_path="gs://landing/cdr", answered="?", **interval)
"""


@pytest.fixture
def google() -> Iterator[None]:
    try:
        from airflow.sdk.io import attach
    except ImportError:  # Airflow 2
        from airflow.io.store import attach  # type: ignore[import-not-found, no-redef]
    attach("gs", fs=GoogleStore())
    yield
    attach("gs", fs=MemoryFileSystem())


def test_in_a_real_run(
    emulator: Callable[..., Emulator],
    connection: Callable[[Emulator], str],
    dag_runs: Callable[[Path], DagRuns],
    google: None,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    connection(emulator(did_per_day=5, call_center_per_day=5))
    (tmp_path / "links.py").write_text(DAG.format(start=DAY_START, end=DAY_END, folder=tmp_path / "cdr"))
    run = dag_runs(tmp_path).run("links", utc(2026, 3, 18))

    succeeded = dict.fromkeys(("google", "mapped", "xcom", "local"), "success")
    assert states(run) == {**succeeded, "refused": "failed", "run": "failed"}
    tasks = run.get_task_instances()
    links = {ti.task_id: ti.xcom_pull(ti.task_id, key=XCOM_KEY, map_indexes=ti.map_index) for ti in tasks}
    url = "https://console.cloud.google.com/storage/browser/_details/landing/cdr/date%3D2026-03-17/did_cdr_"
    for task_id in ("google", "mapped"):
        assert links.pop(task_id) == f"{url}20260316T160000Z_20260317T160000Z.jsonl;tab=live_object"
    assert not any(links.values())
    # In Airflow 3.0, dag.test() shows what its task tells at the level of debugging, too.
    log = "\n".join(line for line in "".join(capfd.readouterr()).splitlines() if "[debug    ]" not in line)
    assert "XCom not found" not in log
    assert "operator extra link" not in log
