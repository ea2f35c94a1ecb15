"""The operators on Azure Blob Storage and Google Cloud Storage."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_nxcloud.operators.cdr import NXCloudDidCdrOperator
from airflow_provider_nxcloud.storage import commit
from airflow_provider_nxcloud.storage.commit import new_object
from airflow_provider_nxcloud.storage.errors import StorageUnavailableError
from airflow_provider_nxcloud.storage.target import StorageTarget, storage_target
from tests.clouds.conftest import Cloud
from tests.conftest import DAY, DAY_END, DAY_START
from tests.emulator import Emulator, generate_did_cdrs
from tests.storage.stores import BUCKET

Attach = Callable[[str], str]
MEBIBYTE = 1024 * 1024


@pytest.fixture
def server(emulator: Callable[..., Emulator], connection: Callable[[Emulator], str]) -> Emulator:
    server = emulator(did=generate_did_cdrs(DAY, 700))
    connection(server)
    return server


@pytest.fixture
def conn_id(cloud: Cloud, storage_connection: Attach) -> str:
    return storage_connection(cloud.connection)


@pytest.fixture
def root(cloud: Cloud, tmp_path: Path) -> str:
    return f"{cloud.scheme}://{BUCKET}/{tmp_path.name}"


def fetch(output_path: str, conn_id: str | None = None, **options: Any) -> dict[str, Any]:
    where = {"output_path": output_path, "storage_conn_id": conn_id}
    task = NXCloudDidCdrOperator(task_id="fetch", interval_start=DAY_START, interval_end=DAY_END, **where, **options)
    manifest: Any = task.execute({})
    assert isinstance(manifest, dict)
    return manifest


@pytest.mark.parametrize("suffix", [".jsonl", ".csv.gz", ".parquet"])
def test_the_same_interval_has_the_same_bytes_as_on_a_local_disk(
    suffix: str, root: str, conn_id: str, server: Emulator, tmp_path: Path, temporary_folder: Path
) -> None:
    location = f"{root}/day{suffix}"
    manifests = [fetch(location, conn_id), fetch(location, conn_id), fetch(f"{tmp_path}/day{suffix}")]
    assert len({manifest["sha256"] for manifest in manifests}) == 1
    target = storage_target(location, conn_id)
    assert target.fs.cat_file(target.path) == (tmp_path / f"day{suffix}").read_bytes()


@pytest.mark.parametrize("size", [0, 1, 5 * MEBIBYTE, 11 * MEBIBYTE, 70 * MEBIBYTE])
def test_uploads_of_all_sizes_are_whole(size: int, root: str, conn_id: str, temporary_folder: Path) -> None:
    target = storage_target(f"{root}/day.jsonl", conn_id)
    assert target.exists() is False
    with new_object(target) as spool:
        spool.write(b"x" * size)
    assert target.size() == size
    assert target.exists() is True
    target.fs.rm(target.path)


def write_half(target: StorageTarget) -> None:
    with new_object(target) as spool:
        spool.write(b"half of the rec")
        raise RuntimeError


def test_a_failure_leaves_the_earlier_object(root: str, conn_id: str, temporary_folder: Path) -> None:
    target = storage_target(f"{root}/day.jsonl", conn_id)
    with new_object(target) as spool:
        spool.write(b"earlier")
    with pytest.raises(RuntimeError):
        write_half(target)
    assert target.fs.cat_file(target.path) == b"earlier"


def test_a_missing_bucket_is_named_before_the_first_request(cloud: Cloud, conn_id: str, server: Emulator) -> None:
    with pytest.raises(AirflowFailException, match="no bucket or container 'no-such-bucket'") as raised:
        fetch(f"{cloud.scheme}://no-such-bucket/cdr", conn_id)
    assert conn_id in str(raised.value)
    assert server.requests == []


def test_a_wrong_key_is_named_before_the_first_request(
    azure: Cloud, storage_connection: Attach, server: Emulator
) -> None:
    before, _, after = json.loads(azure.connection)["extra"]["connection_string"].partition("AccountKey=")
    wrong = f"{before}AccountKey={base64.b64encode(b'wrong').decode()}{after[after.index(';') :]}"
    conn_id = storage_connection(json.dumps({"conn_type": "wasb", "extra": {"connection_string": wrong}}))
    with pytest.raises(AirflowFailException, match="rejected the credentials") as raised:
        fetch(f"abfs://{BUCKET}/cdr", conn_id)
    assert conn_id in str(raised.value)
    assert server.requests == []


def test_a_store_that_is_away_is_left_to_airflows_retries(
    google: Cloud, storage_connection: Attach, server: Emulator
) -> None:
    """Google's alone, which takes half a minute: adlfs tries for two minutes, with no way to make it shorter."""
    connection = json.loads(google.connection)
    connection["extra"]["gcs.endpoint"] = "http://127.0.0.1:1"
    conn_id = storage_connection(json.dumps(connection))
    with pytest.raises(StorageUnavailableError, match=conn_id):
        fetch(f"gs://{BUCKET}/cdr", conn_id)
    assert server.requests == []


def test_overwrite_false_refuses_before_the_first_request(root: str, conn_id: str, server: Emulator) -> None:
    fetch(root, conn_id, overwrite=False)
    server.reset_statistics()
    with pytest.raises(AirflowFailException, match="overwrite=True"):
        fetch(root, conn_id, overwrite=False)
    assert server.requests == []


def test_an_upload_is_tried_again(root: str, conn_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "FIRST_BACKOFF_SECONDS", 0.01)
    target = storage_target(f"{root}/day.jsonl", conn_id)
    put_file = target.fs.put_file
    failures: list[Exception] = [ConnectionResetError("cut"), ConnectionResetError("cut")]

    def put(*args: Any, **options: Any) -> None:
        if failures:
            raise failures.pop()
        put_file(*args, **options)

    monkeypatch.setattr(target.fs, "put_file", put)
    with new_object(target) as spool:
        spool.write(b"records")
    assert target.fs.cat_file(target.path) == b"records"
