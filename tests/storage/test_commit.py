"""The one safe way to write: whole or not at all, on a local disk and on any other store."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_nxcloud.storage import commit
from airflow_provider_nxcloud.storage.commit import new_object
from airflow_provider_nxcloud.storage.errors import (
    FullDiskError,
    StorageConfigurationError,
    StorageError,
    StorageUnavailableError,
)
from airflow_provider_nxcloud.storage.target import StorageTarget, storage_target


@pytest.fixture(params=["local", "file URI", "other store"])
def target(request: pytest.FixtureRequest, tmp_path: Path, memory_store: object) -> StorageTarget:
    root = {"local": str(tmp_path), "file URI": tmp_path.as_uri(), "other store": f"memory://{tmp_path.name}"}
    return storage_target(f"{root[request.param]}/date=2026-03-17/day.jsonl", None)


@pytest.fixture
def remote(memory_store: Any, tmp_path: Path, temporary_folder: Path) -> StorageTarget:
    return storage_target(f"memory://{tmp_path.name}/day.jsonl", None)


def content(target: StorageTarget) -> bytes:
    read: bytes = target.fs.cat_file(target.path)
    return read


def write(target: StorageTarget, *parts: bytes) -> None:
    with new_object(target) as spool:
        for part in parts:
            spool.write(part)


def write_half(target: StorageTarget, failure: type[BaseException]) -> None:
    with new_object(target) as spool:
        spool.write(b"half of the rec")
        raise failure


def test_what_is_written_becomes_the_object(target: StorageTarget) -> None:
    assert target.exists() is False
    with new_object(target) as spool:
        spool.write(b"a" * 100_000)
        spool.write(memoryview(b"b"))
        assert target.exists() is False
    assert target.exists() is True
    assert content(target) == b"a" * 100_000 + b"b"
    assert spool.size == target.size() == 100_001
    assert spool.sha256 == hashlib.sha256(content(target)).hexdigest()


def test_a_second_run_replaces_the_object(target: StorageTarget) -> None:
    write(target, b"first, and longer")
    write(target, b"second")
    assert content(target) == b"second"


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_earlier_object_and_nothing_else(
    target: StorageTarget, failure: type[BaseException], temporary_folder: Path
) -> None:
    write(target, b"earlier")
    with pytest.raises(failure):
        write_half(target, failure)
    assert content(target) == b"earlier"
    assert [name.rpartition("/")[2] for name in target.fs.find(target.path.rpartition("/")[0])] == ["day.jsonl"]


def failing(failures: list[Exception], put_file: Callable[..., None]) -> tuple[Callable[..., None], list[str]]:
    """Return a ``put_file`` that fails so often first, and the list of its calls."""
    calls: list[str] = []

    def put(source: str, path: str) -> None:
        calls.append(path)
        if failures:
            raise failures.pop(0)
        put_file(source, path)

    return put, calls


TRANSIENT = [
    ConnectionResetError("cut"),
    TimeoutError("slow"),
    OSError(errno.EBUSY, "Please reduce your request rate"),
    OSError(errno.EIO, "We encountered an internal error"),
]


def test_a_transient_failure_is_tried_again(
    remote: StorageTarget, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put, calls = failing(list(TRANSIENT), remote.fs.put_file)
    monkeypatch.setattr(remote.fs, "put_file", put)
    write(remote, b"records")
    assert len(calls) == commit.UPLOAD_ATTEMPTS
    assert content(remote) == b"records"
    assert f"Attempt 1 of 5 to write {remote} failed (ConnectionResetError: cut)" in caplog.text


def test_a_failure_that_stays_is_left_to_airflows_retries(
    remote: StorageTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(remote, b"earlier")
    put, calls = failing([ConnectionResetError("cut")] * 9, remote.fs.put_file)
    monkeypatch.setattr(remote.fs, "put_file", put)
    with pytest.raises(StorageUnavailableError, match=r"Writing memory://.*day\.jsonl .*\(ConnectionResetError: cut\)"):
        write(remote, b"records")
    assert len(calls) == commit.UPLOAD_ATTEMPTS
    assert content(remote) == b"earlier"


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (PermissionError("Access Denied"), "is not permitted"),
        (OSError("Forbidden: o/day.jsonl"), "is not permitted"),
        (FileNotFoundError("NoSuchBucket"), "no bucket or container"),
    ],
)
def test_a_permanent_failure_is_not_tried_again(
    failure: Exception, told: str, remote: StorageTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, calls = failing([failure], remote.fs.put_file)
    monkeypatch.setattr(remote.fs, "put_file", put)
    with pytest.raises(StorageConfigurationError, match=told):
        write(remote, b"records")
    assert len(calls) == 1


def test_a_fault_in_a_program_is_not_taken_for_the_stores(
    remote: StorageTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, calls = failing([AttributeError("typo")], remote.fs.put_file)
    monkeypatch.setattr(remote.fs, "put_file", put)
    with pytest.raises(AttributeError, match="typo"):
        write(remote, b"records")
    assert len(calls) == 1


@pytest.mark.parametrize("short", [1, 9])
def test_a_short_object_never_passes(short: int, remote: StorageTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    put_file, calls = remote.fs.put_file, []

    def put(source: str, path: str) -> None:
        calls.append(path)
        put_file(source, path)
        if len(calls) <= short:
            remote.fs.pipe_file(path, b"rec")

    monkeypatch.setattr(remote.fs, "put_file", put)
    if short == 1:
        write(remote, b"records")
        assert content(remote) == b"records"
        return
    with pytest.raises(StorageError, match="7 bytes were sent, but the store holds 3"):
        write(remote, b"records")


def test_another_run_that_comes_between_is_overwritten_whole(
    remote: StorageTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_file, calls = remote.fs.put_file, []

    def put(source: str, path: str) -> None:
        put_file(source, path)
        calls.append(path)
        if len(calls) == 1:
            remote.fs.pipe_file(path, b"of another run, and longer")

    monkeypatch.setattr(remote.fs, "put_file", put)
    write(remote, b"records")
    assert content(remote) == b"records"


def test_where_a_file_must_have_a_name_it_is_removed_too(
    target: StorageTarget, temporary_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "_DESCRIPTORS", "/no/such/folder")
    test_a_second_run_replaces_the_object(target)
    test_a_failure_leaves_the_earlier_object_and_nothing_else(target, RuntimeError, temporary_folder)


def test_parts_are_bounded_in_size_and_in_number() -> None:
    class Store:
        def put_file(self, lpath: str, rpath: str, chunksize: int = 50, callback: Any = None) -> None: ...

    for size in (0, 1, 10**8, 10**12):
        part = commit._upload_options(Store(), size)["chunksize"]
        assert part % commit.PART_GRAIN_BYTES == 0
        assert part >= commit.PART_BYTES
        assert size <= part * commit.MAX_PARTS
    assert commit._upload_options(Store(), 10**8) == {"chunksize": commit.PART_BYTES}


def test_a_new_local_file_is_readable_as_the_umask_says(tmp_path: Path) -> None:
    target = storage_target(str(tmp_path / "day.jsonl"), None)
    write(target, b"x")
    (tmp_path / "plain").write_bytes(b"x")
    mode = os.stat(tmp_path / "plain").st_mode
    assert os.stat(tmp_path / "day.jsonl").st_mode == mode


def test_a_full_disk_is_named_also_where_it_shows_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FullDiskError, match=f"in the folder {tmp_path}: make room there"):
        write(storage_target(str(tmp_path / "day.jsonl"), None), b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_storage_connection_must_exist() -> None:
    with pytest.raises(Exception, match="no_such_store"):
        storage_target("s3://no_such_store@landing/day.jsonl", None)


def test_a_local_folder_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageConfigurationError, match="is not a folder"):
        storage_target(str(tmp_path / "file" / "day.jsonl"), None).exists()


def test_a_local_folder_that_may_not_be_written_to_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(StorageConfigurationError, match=f"may not write to the folder {tmp_path}"):
        storage_target(str(tmp_path / "new" / "day.jsonl"), None).exists()
