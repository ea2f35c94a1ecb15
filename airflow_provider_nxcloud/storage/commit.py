"""The one safe way to write an object: whole under its final name, or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from io import FileIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import BaseHook

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath
    from typing_extensions import Buffer

LOCAL_PROTOCOLS = ("", "file", "local")


class SpoolFile(FileIO):
    """A new file that knows the size and digest of what was written to it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "x")
        self.size = 0
        self._digest = sha256()

    def write(self, data: Buffer, /) -> int:
        """Write all of the data."""
        view = memoryview(data).cast("B")
        written = 0
        while written < len(view):
            written += super().write(view[written:])
        self._digest.update(view)
        self.size += written
        return written

    @property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of what was written."""
        return self._digest.hexdigest()


def storage_path(location: str, storage_conn_id: str | None) -> ObjectStoragePath:
    """
    Return the object's path, its storage Connection resolved.

    :param location: absolute path or URI
    :param storage_conn_id: Airflow connection of the storage, where the URI does not carry it
    :raises ValueError: for a relative path, or two different connections
    :raises AirflowNotFoundException: for a Connection that does not exist; without this check, drivers fall back
        to anonymous access
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    parts = urlsplit(location)
    if not parts.scheme and not location.startswith("/"):
        raise ValueError(
            f"output_path {location!r} is relative: give an absolute path or a URI such as s3://bucket/cdr"
        )
    in_uri = parts.netloc.rpartition("@")[0] or None
    if in_uri and storage_conn_id and in_uri != storage_conn_id:
        raise ValueError(f"output_path names the connection {in_uri!r}, storage_conn_id names {storage_conn_id!r}")
    conn_id = storage_conn_id or in_uri
    if conn_id:
        BaseHook.get_connection(conn_id)
    try:
        path = ObjectStoragePath(location, conn_id=conn_id)
        path.fs  # noqa: B018 - a missing driver is to show before the first request, not after the last
    except (ValueError, ImportError) as error:
        raise ValueError(
            f"There is no storage driver for {parts.scheme}:// ({error}): install airflow-provider-nxcloud with its "
            "extra s3, gcs or azure, or the Airflow provider of that storage"
        ) from error
    return path


@contextmanager
def new_object(path: ObjectStoragePath) -> Iterator[SpoolFile]:
    """
    Write an object: what the block writes becomes the object when the block ends, and nothing where it fails.

    An object store gets one upload of a finished local file: a handle that is open on the store while records
    are fetched would commit what it has when the block fails. A local path is replaced in one step.
    """
    if path.protocol in LOCAL_PROTOCOLS:
        with _new_local_file(Path(path.path)) as spool:
            yield spool
        return
    with TemporaryDirectory(prefix="nxcloud-") as folder:
        file = Path(folder, "spool")
        with SpoolFile(file) as spool:
            yield spool
        path.fs.put_file(str(file), path.path)


@contextmanager
def _new_local_file(target: Path) -> Iterator[SpoolFile]:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    try:
        with SpoolFile(temporary) as spool:
            yield spool
            os.fsync(spool.fileno())
        os.replace(temporary, target)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename in the folder last through a power failure."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
