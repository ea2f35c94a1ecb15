"""What goes wrong while an interval is written: the earlier object stays, or the new one is there, whole."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from inspect import unwrap
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_nxcloud.operators.cdr import NXCloudCallCenterCdrOperator
from airflow_provider_nxcloud.storage import commit
from airflow_provider_nxcloud.storage.commit import new_object
from airflow_provider_nxcloud.storage.errors import FullDiskError, StorageUnavailableError
from airflow_provider_nxcloud.storage.target import storage_target
from tests.conftest import DAY, DAY_END, DAY_START
from tests.emulator import Emulator, Fault, generate_call_center_cdrs
from tests.storage.run_operator import Run, start
from tests.storage.stores import BUCKET, Link, S3Server, running_s3_server, wait_until

RECORDS = 1200  # some 800 kB: one request
MIDDLE = 400_000
PADDING = 9_000  # makes it 12 MB: an upload in parts, of which the store takes none below 5 MiB
MIDDLE_OF_PARTS = 6_000_000
LONGEST_SECONDS = 60
A_RECORD = 300  # bytes, about

Start = Callable[..., Emulator]
Connect = Callable[..., str]
Attach = Callable[[str], str]


@dataclass
class Dataset:
    """
    A dataset in a store, and what a reader sees of it.

    :param root: ``output_path``
    :param conn_id: ``storage_conn_id`` to check by
    :param server: holds the truth
    :param middle: so many bytes are in the middle of its upload
    """

    root: str
    conn_id: str | None
    server: Emulator
    middle: int = MIDDLE

    def options(self, **changes: Any) -> dict[str, Any]:
        """Return the operator's parameters."""
        return {
            "interval_start": DAY_START,
            "interval_end": DAY_END,
            "output_path": self.root,
            "storage_conn_id": self.conn_id,
            **changes,
        }

    def fetch(self, **changes: Any) -> dict[str, Any]:
        """Run the operator in this process."""
        task = NXCloudCallCenterCdrOperator(task_id="fetch", **self.options(**changes))
        # Unwrapped, since the guard that Airflow 2 puts around it knows the main thread only.
        manifest: Any = unwrap(NXCloudCallCenterCdrOperator.execute)(task, {})
        return manifest  # type: ignore[no-any-return]

    def objects(self) -> dict[str, bytes]:
        """Return all that a reader sees: contents by path."""
        path = ObjectStoragePath(self.root, conn_id=self.conn_id)
        path.fs.invalidate_cache()
        return {name: path.fs.cat_file(name) for name in path.fs.find(path.path)}

    def the_object(self) -> bytes:
        """Return the content of the only object."""
        (content,) = self.objects().values()
        return content

    def truth(self) -> Counter[bytes]:
        """Return the lines that the object is to have now."""
        records = self.server.call_center_cdrs(DAY_START, DAY_END)
        return Counter(self.server.json_of("call_center", record) for record in records)

    def change(self) -> None:
        """Change the truth, so that an earlier object and a new one differ."""
        self.server.remove("call_center", self.server.call_center_cdrs(DAY_START, DAY_END)[0]["callId"])

    def is_current(self) -> bool:
        """Return whether the object holds the truth."""
        return Counter(self.the_object().splitlines()) == self.truth()


SIZES = pytest.mark.parametrize("padding", [PADDING, 0], ids=["in parts", "at once"], indirect=True)


@pytest.fixture
def padding(request: pytest.FixtureRequest) -> int:
    """What to add to each record, in bytes."""
    return int(getattr(request, "param", 0))


@pytest.fixture
def server(emulator: Start, connection: Connect, padding: int) -> Emulator:
    records = generate_call_center_cdrs(DAY, RECORDS)
    server = emulator(call_center=[{**record, "remark": "x" * padding} for record in records])
    connection(server)
    return server


@pytest.fixture
def s3_dataset(server: Emulator, s3: str, tmp_path: Path, padding: int) -> Dataset:
    return Dataset(f"s3://{BUCKET}/{tmp_path.name}", s3, server, MIDDLE_OF_PARTS if padding else MIDDLE)


@pytest.fixture(params=["s3", "local"])
def dataset(request: pytest.FixtureRequest, server: Emulator, tmp_path: Path) -> Dataset:
    if request.param == "local":
        (tmp_path / "landing").mkdir()
        return Dataset(str(tmp_path / "landing"), None, server)
    found: Dataset = request.getfixturevalue("s3_dataset")
    return found


@pytest.fixture
def in_background() -> Iterator[Callable[..., Future[Any]]]:
    with ThreadPoolExecutor(4) as threads:
        yield threads.submit


# The store.


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[S3Server]:
    """A store of the test's own, to kill."""
    folder = tmp_path / "mortal"
    folder.mkdir()
    with running_s3_server(folder) as store:
        yield store


@pytest.fixture
def mortal_dataset(server: Emulator, mortal: S3Server, storage_connection: Attach, padding: int) -> Dataset:
    conn_id = storage_connection(mortal.connection())
    return Dataset(f"s3://{BUCKET}/cdr", conn_id, server, MIDDLE_OF_PARTS if padding else MIDDLE)


@pytest.mark.usefixtures("temporary_folder")
@SIZES
def test_a_store_that_dies_in_an_upload_and_comes_back(
    mortal_dataset: Dataset,
    mortal: S3Server,
    storage_connection: Attach,
    in_background: Callable[..., Future[Any]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    link = Link(mortal.port)
    through_link = storage_connection(mortal.connection(url=link.url))
    before = mortal_dataset.fetch()

    # It stays away: the task fails, for Airflow to try again.
    monkeypatch.setattr(commit, "UPLOAD_ATTEMPTS", 1)
    mortal_dataset.change()
    link.hold_after(mortal_dataset.middle)
    task = in_background(mortal_dataset.fetch, storage_conn_id=through_link)
    assert link.held.wait(LONGEST_SECONDS)
    mortal.kill()
    link.cut()
    with pytest.raises(StorageUnavailableError, match=through_link):
        task.result(LONGEST_SECONDS)
    mortal.start()
    assert hashlib.sha256(mortal_dataset.the_object()).hexdigest() == before["sha256"]

    # It comes back after the driver has given up: the task goes on.
    monkeypatch.setattr(commit, "UPLOAD_ATTEMPTS", 5)
    monkeypatch.setattr(commit, "FIRST_BACKOFF_SECONDS", 0.5)
    monkeypatch.setattr(commit, "LONGEST_BACKOFF_SECONDS", 4.0)
    caplog.clear()
    link.hold_after(mortal_dataset.middle)
    task = in_background(mortal_dataset.fetch, storage_conn_id=through_link)
    assert link.held.wait(LONGEST_SECONDS)
    mortal.kill()
    link.cut()
    wait_until(lambda: "Attempt 1 of 5 to write" in caplog.text, "the upload is not tried again")
    mortal.start()
    assert task.result(LONGEST_SECONDS)["records"] == RECORDS - 1
    assert mortal_dataset.is_current()
    link.close()


@pytest.mark.usefixtures("temporary_folder")
@pytest.mark.parametrize("padding", [PADDING], ids=["in parts"], indirect=True)
def test_an_upload_that_breaks_leaves_no_part_behind(
    s3_dataset: Dataset, s3_server: S3Server, link: Link, storage_connection: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs = ObjectStoragePath(s3_dataset.root, conn_id=s3_dataset.conn_id).fs
    through_link = storage_connection(s3_server.connection(url=link.url))
    monkeypatch.setattr(commit, "PARTS_IN_FLIGHT", 1)
    calls = Counter[str]()
    broken = ObjectStoragePath(s3_dataset.root, conn_id=through_link).fs
    call_s3 = broken._call_s3

    async def break_second_part(method: str, *args: Any, **kwargs: Any) -> Any:
        calls[method] += 1
        if method == "upload_part" and calls[method] == 2:
            raise ConnectionResetError("cut")
        return await call_s3(method, *args, **kwargs)

    monkeypatch.setattr(broken, "_call_s3", break_second_part)
    s3_dataset.fetch(storage_conn_id=through_link)
    assert calls["create_multipart_upload"] == 2
    assert fs.list_multipart_uploads(BUCKET) == []
    assert s3_dataset.is_current()


# The task's process.


#: What ends a task: a crash (or the kernel, out of memory), Airflow 2 and Airflow 3.
KILL = (signal.SIGKILL, None)
AIRFLOW_2 = (signal.SIGTERM, 2)
AIRFLOW_3 = (signal.SIGTERM, 3)
Ending = tuple[signal.Signals, int | None]


def is_writing(run: Run, folder: Path) -> bool:
    """
    Return whether the process has a file open in the folder, with some records in it; it may have no name.

    A few bytes are no records: by them Python finds out whether it can write there.
    """
    try:
        files = list(Path(f"/proc/{run.process.pid}/fd").iterdir())
        return any(os.readlink(file).startswith(str(folder)) and file.stat().st_size > A_RECORD for file in files)
    except FileNotFoundError:  # closed since
        return False


@pytest.mark.parametrize(
    ("dataset", "ending"),
    [("s3", KILL), ("s3", AIRFLOW_3), ("local", KILL), ("local", AIRFLOW_2)],
    indirect=["dataset"],
    ids=["s3-kill", "s3-airflow-3", "local-kill", "local-airflow-2"],
)
def test_a_task_that_is_ended_in_the_middle_of_the_fetch(
    dataset: Dataset, ending: Ending, temporary_folder: Path
) -> None:
    number, airflow = ending
    before = dataset.fetch()
    dataset.change()
    # The day's last hours never come, while its first ones are being written.
    dataset.server.add_fault(Fault("latency", after=70, seconds=LONGEST_SECONDS, times=None))
    run = start(dataset.options(window=timedelta(hours=1)), airflow=airflow)
    folder = temporary_folder if dataset.conn_id else Path(dataset.root)
    wait_until(lambda: is_writing(run, folder), "nothing was written")
    assert not isinstance(run.end(number), dict)
    assert hashlib.sha256(dataset.the_object()).hexdigest() == before["sha256"]
    assert list(temporary_folder.iterdir()) == []
    dataset.server.clear_faults()
    dataset.fetch()
    assert dataset.is_current()


@pytest.mark.parametrize(
    ("padding", "ending"),
    [(PADDING, KILL), (PADDING, AIRFLOW_2), (0, KILL), (0, AIRFLOW_3)],
    indirect=["padding"],
    ids=["in parts-kill", "in parts-airflow-2", "at once-kill", "at once-airflow-3"],
)
def test_a_task_that_is_ended_in_the_middle_of_the_upload(
    ending: Ending,
    s3_dataset: Dataset,
    s3_server: S3Server,
    link: Link,
    storage_connection: Attach,
    temporary_folder: Path,
) -> None:
    before = s3_dataset.fetch()
    s3_dataset.change()
    through_link = storage_connection(s3_server.connection(url=link.url))
    link.hold_after(s3_dataset.middle)
    number, airflow = ending
    run = start(s3_dataset.options(storage_conn_id=through_link), airflow=airflow)
    assert link.held.wait(LONGEST_SECONDS)
    if airflow == 3:  # lets the task go on for a while, and the upload ends in it
        link.release()
        assert isinstance(run.end(number), dict)
        assert s3_dataset.is_current()
    else:
        assert not isinstance(run.end(number), dict)
        link.cut()
        assert hashlib.sha256(s3_dataset.the_object()).hexdigest() == before["sha256"]
    assert list(temporary_folder.iterdir()) == []
    s3_dataset.fetch()
    assert s3_dataset.is_current()


# The disk.


@pytest.mark.parametrize("dataset", ["s3", "local"], indirect=True)
def test_a_full_disk_is_named_and_leaves_the_earlier_object(dataset: Dataset, temporary_folder: Path) -> None:
    before = dataset.fetch()
    dataset.change()
    error = start(dataset.options(), largest_file=300_000).result()
    assert isinstance(error, FullDiskError)
    folder, remedy = (temporary_folder, "TMPDIR") if dataset.conn_id else (Path(before["path"]).parent, "make room")
    assert f"The disk is full, or a quota or limit is reached, in the folder {folder}: " in str(error)
    assert remedy in str(error)
    assert hashlib.sha256(dataset.the_object()).hexdigest() == before["sha256"]
    assert list(temporary_folder.iterdir()) == []
    dataset.fetch()
    assert dataset.is_current()


@pytest.mark.parametrize("output", [True, False])
def test_a_full_disk_under_the_pages_is_named(
    output: bool, dataset: Dataset, temporary_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("airflow_provider_nxcloud.api.completeness.keeping.Spool.write", full)
    with pytest.raises(FullDiskError, match=f"{temporary_folder}: make room there, or point TMPDIR"):
        dataset.fetch(**({} if output else {"output_path": None}))


# Two runs of the same interval at once.


@pytest.mark.usefixtures("temporary_folder")
@SIZES
def test_two_uploads_of_the_same_object_at_once(
    s3_dataset: Dataset,
    s3_server: S3Server,
    link: Link,
    storage_connection: Attach,
    in_background: Callable[..., Future[Any]],
) -> None:
    through_link = storage_connection(s3_server.connection(url=link.url))
    link.hold_after(s3_dataset.middle)
    slow = in_background(s3_dataset.fetch, storage_conn_id=through_link)
    assert link.held.wait(LONGEST_SECONDS)
    s3_dataset.change()
    fast = s3_dataset.fetch()
    assert hashlib.sha256(s3_dataset.the_object()).hexdigest() == fast["sha256"]
    link.release()
    manifest = slow.result(LONGEST_SECONDS)
    assert manifest["records"] == fast["records"] + 1
    assert hashlib.sha256(s3_dataset.the_object()).hexdigest() == manifest["sha256"]


@pytest.mark.parametrize("named", [False, True])
def test_two_writers_of_the_same_local_file_at_once(
    named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if named:  # as where a file cannot be without a name
        monkeypatch.setattr(commit, "_open_unnamed", lambda folder: None)
    target = storage_target(str(tmp_path / "day.jsonl"), None)
    with new_object(target) as slow:
        slow.write(b"slow ")
        with new_object(target) as fast:
            fast.write(b"fast")
        assert (tmp_path / "day.jsonl").read_bytes() == b"fast"
        slow.write(b"and whole")
    assert (tmp_path / "day.jsonl").read_bytes() == b"slow and whole"
    assert everything_in(tmp_path) == [tmp_path / "day.jsonl"]


@pytest.mark.parametrize("dataset", ["s3", "local"], indirect=True)
def test_many_runs_at_once_never_mix(dataset: Dataset, in_background: Callable[..., Future[Any]]) -> None:
    target = storage_target(f"{dataset.root}/day.jsonl", dataset.conn_id)
    contents = [bytes([letter]) * 700_000 for letter in b"abc"]
    together = Barrier(len(contents))

    def write(content: bytes) -> None:
        for _ in range(5):
            together.wait(LONGEST_SECONDS)
            with new_object(target) as spool:
                spool.write(content)

    writers = [in_background(write, content) for content in contents]
    seen: set[bytes] = set()
    while not all(writer.done() for writer in writers):
        with suppress(FileNotFoundError):  # SeaweedFS has no object for a moment, while it replaces one
            seen.update(dataset.objects().values())
    for writer in writers:
        writer.result()
    assert seen <= set(contents)
    assert dataset.the_object() in contents


def everything_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
