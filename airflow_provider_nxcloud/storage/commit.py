"""The one safe way to write an object: whole under its final name, or not at all."""

from __future__ import annotations

import inspect
import logging
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from hashlib import sha256
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential, wait_random

from airflow_provider_nxcloud.storage.errors import SPOOL_REMEDY, full_disk_named, is_transient, reason

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from airflow_provider_nxcloud.storage.target import StorageTarget

log = logging.getLogger(__name__)

#: Drivers try again by themselves first: s3fs for seconds, gcsfs for half a minute, adlfs for two. With these, and the
#: back-off between them (1, 2, 4, 8 s), a store that restarts has half a minute or more to come back: cheap beside
#: fetching the interval again.
UPLOAD_ATTEMPTS = 5
FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 15.0
#: Parts of an upload: the smallest that S3 takes, since a driver holds several in memory. A multiple of what GCS asks.
PART_BYTES = 5 * 1024 * 1024
PART_GRAIN_BYTES = 256 * 1024
MAX_PARTS = 10_000
#: Parts under way at once: with them an upload holds 20 MiB, where drivers by default hold up to 500.
PARTS_IN_FLIGHT = 4

#: Here the kernel gives a path to a file that has no name.
_DESCRIPTORS = "/proc/self/fd"


class SpoolFile(FileIO):
    """
    A new file that knows the size and digest of what was written to it.

    :param descriptor: the open file, which is closed with this object
    :param folder: where it lies
    :param remedy: what to do when that folder is full
    """

    def __init__(self, descriptor: int, folder: str, remedy: str) -> None:
        super().__init__(descriptor, "w")
        self.size = 0
        self._digest = sha256()
        self._folder = folder
        self._remedy = remedy

    def sync(self) -> None:
        """
        Wait until all is on the disk.

        :raises FullDiskError: names the folder, where its disk finds out only now
        """
        with full_disk_named(self._folder, self._remedy):
            os.fsync(self.fileno())

    def write(self, data: Buffer, /) -> int:
        """
        Write all of the data.

        :raises FullDiskError: names the folder
        """
        view = memoryview(data).cast("B")
        written = 0
        with full_disk_named(self._folder, self._remedy):
            while written < len(view):
                written += super().write(view[written:])
        self._digest.update(view)
        self.size += written
        return written

    @property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of what was written."""
        return self._digest.hexdigest()


@contextmanager
def new_object(target: StorageTarget) -> Iterator[SpoolFile]:
    """
    Write an object: what the block writes becomes the object when the block ends, and nothing where it fails.

    An object store gets one upload of a finished local file: a handle that is open on the store while records
    are fetched would commit what it has when the block fails. A local path is replaced in one step.

    :raises StorageError: names the place, the Connection and what to do; an earlier object is then untouched
    """
    if target.local:
        with _new_local_file(Path(target.path)) as spool:
            yield spool
        return
    with _new_spool() as (spool, path):
        yield spool
        _upload(path, spool.size, target)


@contextmanager
def _new_spool() -> Iterator[tuple[SpoolFile, str]]:
    """
    Open a temporary file, and give the path by which a driver can read it.

    It has no name where the system can do without: the kernel then removes it with the process, however that ends.
    """
    unnamed = os.path.isdir(_DESCRIPTORS)
    temporary_file = tempfile.TemporaryFile if unnamed else tempfile.NamedTemporaryFile
    with (
        temporary_file(prefix="nxcloud-", buffering=0) as file,
        SpoolFile(os.dup(file.fileno()), tempfile.gettempdir(), SPOOL_REMEDY) as spool,
    ):
        yield spool, f"{_DESCRIPTORS}/{spool.fileno()}" if unnamed else file.name


def _upload(path: str, size: int, target: StorageTarget) -> None:
    attempts = Retrying(
        retry=retry_if_exception(is_transient),
        stop=stop_after_attempt(UPLOAD_ATTEMPTS),
        wait=wait_exponential(FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS) + wait_random(0, FIRST_BACKOFF_SECONDS),
        before_sleep=partial(_log_retry, target),
        reraise=True,
    )
    with target.failures_explained("writing"):
        attempts(_upload_once, path, size, target)


def _log_retry(target: StorageTarget, state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.warning(
        "Attempt %d of %d to write %s failed (%s); the next is in %.1f s",
        state.attempt_number,
        UPLOAD_ATTEMPTS,
        target,
        reason(error) if error else "",
        state.upcoming_sleep,
    )


def _upload_once(path: str, size: int, target: StorageTarget) -> None:
    target.fs.put_file(path, target.path, **_upload_options(target.fs, size))
    # Other than this size is a short object, or that of another run which came between: the answer is the same.
    if (stored := target.size()) not in (size, None):
        raise OSError(f"{size} bytes were sent, but the store holds {stored}")


def _upload_options(fs: Any, size: int) -> dict[str, int]:
    """Return the driver's options that bound its memory, as far as it has them."""
    grains = -(-size // (MAX_PARTS * PART_GRAIN_BYTES))
    options = {"chunksize": max(PART_BYTES, grains * PART_GRAIN_BYTES), "max_concurrency": PARTS_IN_FLIGHT}
    known = inspect.signature(fs.put_file).parameters
    return {name: value for name, value in options.items() if name in known}


@contextmanager
def _new_local_file(target: Path) -> Iterator[SpoolFile]:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        unnamed = _open_unnamed(target.parent)
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666) if unnamed is None else unnamed
        with SpoolFile(descriptor, str(target.parent), "make room there") as spool:
            yield spool
            spool.sync()
            if unnamed is not None:
                # With a src_dir_fd, which an absolute path leaves unused, Python follows the link to the file.
                os.link(f"{_DESCRIPTORS}/{unnamed}", temporary, src_dir_fd=folder)
        os.replace(temporary, target)
        os.fsync(folder)  # lets the new name last through a power failure
    finally:
        os.close(folder)
        with suppress(FileNotFoundError):
            temporary.unlink()


def _open_unnamed(folder: Path) -> int | None:
    """Open a new file without a name, which the kernel removes with the process; None where that is not possible."""
    if not os.path.isdir(_DESCRIPTORS) or not hasattr(os, "O_TMPFILE"):
        return None
    with suppress(OSError):  # a file system that does not have it
        return os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o666)
    return None
