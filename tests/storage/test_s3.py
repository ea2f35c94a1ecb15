"""The operators on a real S3 server: what is written, and what is refused before the first request."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, ObjectStoragePath

from airflow_provider_nxcloud.operators.cdr import NXCloudCallCenterCdrOperator, NXCloudDidCdrOperator
from airflow_provider_nxcloud.storage.commit import new_object
from airflow_provider_nxcloud.storage.errors import StorageUnavailableError
from airflow_provider_nxcloud.storage.target import storage_target
from tests.conftest import DAY, DAY_END, DAY_START
from tests.emulator import Emulator, generate_call_center_cdrs, generate_did_cdrs
from tests.storage.stores import BUCKET, S3Server

Start = Callable[..., Emulator]
Connect = Callable[..., str]
Attach = Callable[[str], str]


@pytest.fixture
def server(emulator: Start, connection: Connect) -> Emulator:
    server = emulator(call_center=generate_call_center_cdrs(DAY, 700), did=generate_did_cdrs(DAY, 700))
    connection(server)
    return server


@pytest.fixture
def root(tmp_path: Path) -> str:
    """A dataset of this test's own."""
    return f"s3://{BUCKET}/{tmp_path.name}"


def fetch(output_path: str, kind: str = "did", **options: Any) -> dict[str, Any]:
    operators = {"call_center": NXCloudCallCenterCdrOperator, "did": NXCloudDidCdrOperator}
    task = operators[kind](
        task_id="fetch", interval_start=DAY_START, interval_end=DAY_END, output_path=output_path, **options
    )
    manifest: Any = task.execute({})
    assert isinstance(manifest, dict)
    return manifest


def read(manifest: dict[str, Any], conn_id: str) -> bytes:
    path = ObjectStoragePath(manifest["path"], conn_id=conn_id)
    path.fs.invalidate_cache()
    content: bytes = path.fs.cat_file(path.path)
    assert manifest["bytes"] == len(content)
    assert manifest["sha256"] == hashlib.sha256(content).hexdigest()
    return content


@pytest.mark.parametrize("kind", ["call_center", "did"])
@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".parquet"])
def test_the_same_interval_has_the_same_digest_on_s3_and_on_a_local_disk(
    kind: str, suffix: str, server: Emulator, root: str, s3: str, tmp_path: Path, temporary_folder: Path
) -> None:
    manifests = [
        fetch(f"{root}/day{suffix}", kind, storage_conn_id=s3),
        fetch(f"{root}/day{suffix}", kind, storage_conn_id=s3),
        fetch(f"{tmp_path}/day{suffix}", kind),
    ]
    assert manifests[0]["records"] == 700
    assert len({manifest["sha256"] for manifest in manifests}) == 1
    assert read(manifests[0], s3) == (tmp_path / f"day{suffix}").read_bytes()


def test_the_connection_may_stand_in_the_uri(server: Emulator, tmp_path: Path, s3: str) -> None:
    manifest = fetch(f"s3://{s3}@{BUCKET}/{tmp_path.name}")
    assert manifest["path"].startswith(f"s3://{s3}@{BUCKET}/")
    read(manifest, s3)


@pytest.mark.parametrize(
    ("login", "path", "told"),
    [
        ({"login": "no-such-key"}, BUCKET, "rejected the credentials"),
        ({"password": "no-such-secret"}, BUCKET, "rejected the credentials"),
        ({"login": "", "password": ""}, BUCKET, "no credentials"),
        ({}, "no-such-bucket", "no bucket or container 'no-such-bucket'"),
    ],
    ids=["wrong key", "wrong secret", "no key", "missing bucket"],
)
def test_a_mistake_is_named_before_the_first_request(
    login: dict[str, str],
    path: str,
    told: str,
    server: Emulator,
    s3_server: S3Server,
    storage_connection: Attach,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    conn_id = storage_connection(s3_server.connection(**login))
    with pytest.raises(AirflowFailException, match=told) as raised:
        fetch(f"s3://{path}/cdr", storage_conn_id=conn_id)
    assert conn_id in str(raised.value)
    assert "no-such-secret" not in str(raised.value)
    assert server.requests == []


def test_an_unknown_connection_is_named_and_never_taken_for_none(
    server: Emulator, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-environment")
    with pytest.raises(AirflowFailException, match="no_such_store"):
        fetch(root, storage_conn_id="no_such_store")
    assert server.requests == []


def test_a_store_that_is_away_is_left_to_airflows_retries(
    server: Emulator, root: str, s3_server: S3Server, storage_connection: Attach
) -> None:
    conn_id = storage_connection(s3_server.connection(url="http://127.0.0.1:1"))
    with pytest.raises(StorageUnavailableError, match=conn_id):
        fetch(root, storage_conn_id=conn_id)
    assert server.requests == []


def test_a_read_only_key_leaves_the_earlier_object(
    server: Emulator, root: str, s3: str, s3_server: S3Server, storage_connection: Attach, temporary_folder: Path
) -> None:
    manifest = fetch(root, storage_conn_id=s3)
    reader = storage_connection(s3_server.connection("reader"))
    server.remove("did", server.did_cdrs(DAY_START, DAY_END)[0]["id"])
    with pytest.raises(AirflowFailException, match="is not permitted") as raised:
        fetch(root, storage_conn_id=reader)
    assert reader in str(raised.value)
    assert manifest["path"] in str(raised.value)
    read(manifest, s3)
    read(fetch(root, storage_conn_id=s3), s3)


def test_a_key_that_may_only_write_is_enough(
    server: Emulator, root: str, s3: str, s3_server: S3Server, storage_connection: Attach
) -> None:
    writer = storage_connection(s3_server.connection("write_only"))
    read(fetch(root, storage_conn_id=writer), s3)
    with pytest.raises(AirflowFailException, match="cannot be told, as overwrite=False"):
        fetch(root, storage_conn_id=writer, overwrite=False)


@pytest.mark.parametrize("place", ["s3", "local"])
def test_overwrite_false_refuses_before_the_first_request(
    place: str, server: Emulator, root: str, s3: str, tmp_path: Path
) -> None:
    where: dict[str, Any] = (
        {"output_path": root, "storage_conn_id": s3} if place == "s3" else {"output_path": str(tmp_path / "cdr")}
    )
    manifest = fetch(overwrite=False, **where)
    server.reset_statistics()
    with pytest.raises(AirflowFailException, match="overwrite=True") as raised:
        fetch(overwrite=False, **where)
    assert manifest["path"] in str(raised.value)
    assert server.requests == []
    assert fetch(**where)["sha256"] == manifest["sha256"]


def test_skip_if_empty_replaces_only_what_there_is(emulator: Start, connection: Connect, root: str, s3: str) -> None:
    server = emulator(did=generate_did_cdrs(DAY, 1))
    connection(server)
    path = ObjectStoragePath(f"{root}/empty.jsonl", conn_id=s3)
    (record,) = server.did_cdrs(DAY_START, DAY_END)
    server.remove("did", record["id"])
    with pytest.raises(AirflowSkipException):
        fetch(str(path), storage_conn_id=s3, skip_if_empty=True)
    assert not path.fs.exists(path.path)
    server.insert("did", record)
    fetch(str(path), storage_conn_id=s3)
    server.remove("did", record["id"])
    with pytest.raises(AirflowSkipException):
        fetch(str(path), storage_conn_id=s3, skip_if_empty=True)
    path.fs.invalidate_cache()
    assert path.fs.info(path.path)["size"] == 0


def test_the_size_is_asked_of_the_store_not_of_a_listing_kept(root: str, s3: str) -> None:
    target = storage_target(f"{root}/day.jsonl", s3)
    with new_object(target) as spool:
        spool.write(b"x")
    target.fs.ls(root.removeprefix("s3://"))
    target.fs.dircache[root.removeprefix("s3://")][0]["size"] = 99
    assert target.fs.info(target.path)["size"] == 99
    assert target.size() == 1
