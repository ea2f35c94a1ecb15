"""The one safe way to write: whole or not at all, on a local disk and on any other store."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_nxcloud.storage.commit import new_object, storage_path


@pytest.fixture(params=["local", "file URI", "other store"])
def target(request: pytest.FixtureRequest, tmp_path: Path, memory_store: object) -> ObjectStoragePath:
    root = {"local": str(tmp_path), "file URI": tmp_path.as_uri(), "other store": f"memory://{tmp_path.name}"}
    return storage_path(f"{root[request.param]}/date=2026-03-17/day.jsonl", None)


def content(target: ObjectStoragePath) -> bytes:
    with target.open("rb") as file:
        read: bytes = file.read()
        return read


def write(target: ObjectStoragePath, *parts: bytes) -> None:
    with new_object(target) as spool:
        for part in parts:
            spool.write(part)


def write_half(target: ObjectStoragePath, failure: type[BaseException]) -> None:
    with new_object(target) as spool:
        spool.write(b"half of the rec")
        raise failure


def test_what_is_written_becomes_the_object(target: ObjectStoragePath) -> None:
    with new_object(target) as spool:
        spool.write(b"a" * 100_000)
        spool.write(memoryview(b"b"))
        assert not target.exists()
    assert content(target) == b"a" * 100_000 + b"b"
    assert spool.size == 100_001
    assert spool.sha256 == hashlib.sha256(content(target)).hexdigest()


def test_a_second_run_replaces_the_object(target: ObjectStoragePath) -> None:
    write(target, b"first, and longer")
    write(target, b"second")
    assert content(target) == b"second"


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_earlier_object_and_nothing_else(
    target: ObjectStoragePath,
    failure: type[BaseException],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    write(target, b"earlier")
    with pytest.raises(failure):
        write_half(target, failure)
    assert content(target) == b"earlier"
    assert [path.name for path in target.parent.iterdir()] == ["day.jsonl"]
    assert list(temporary.iterdir()) == []


def test_a_failed_upload_leaves_no_spool(memory_store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise OSError("the store is gone")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(memory_store, "put_file", refuse)
    with pytest.raises(OSError, match="the store is gone"):
        write(storage_path("memory://landing/day.jsonl", None), b"records")
    assert list(tmp_path.iterdir()) == []


def test_a_new_local_file_is_readable_as_the_umask_says(tmp_path: Path) -> None:
    target = storage_path(str(tmp_path / "day.jsonl"), None)
    write(target, b"x")
    (tmp_path / "plain").write_bytes(b"x")
    mode = os.stat(tmp_path / "plain").st_mode
    assert os.stat(tmp_path / "day.jsonl").st_mode == mode


def test_a_storage_connection_must_exist() -> None:
    with pytest.raises(Exception, match="no_such_store"):
        storage_path("s3://no_such_store@landing/day.jsonl", None)
