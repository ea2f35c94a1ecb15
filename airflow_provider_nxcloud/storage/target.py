"""A place in a store: its Connection and driver resolved, and what can be told of it before anything is written."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_nxcloud.storage.errors import (
    StorageConfigurationError,
    StorageError,
    StorageUnavailableError,
    is_forbidden,
    is_refusal,
    is_rejected_key,
    is_transient,
    reason,
)

log = logging.getLogger(__name__)

LOCAL_PROTOCOLS = ("", "file", "local")
#: So Airflow and UPath say that they do not know a scheme.
_UNKNOWN_SCHEME = ("No filesystem registered", "Unsupported filesystem", "Protocol not known")
_NO_DRIVER = (
    "There is no storage driver for {scheme}:// ({reason}): install airflow-provider-nxcloud with its extra s3, gcs "
    "or azure, or the Airflow provider of that storage"
)


@dataclass(frozen=True, slots=True)
class StorageTarget:
    """
    Where an object is to be.

    :param location: path or URI as the user knows it
    :param conn_id: Airflow connection of the store; None: the environment's own identity, or a local disk
    :param fs: the fsspec driver
    :param path: as the driver names it
    :param local: whether it is on a local disk
    """

    location: str
    conn_id: str | None
    fs: Any = field(repr=False)
    path: str
    local: bool

    def __str__(self) -> str:
        if self.local:
            return self.location
        return f"{self.location} ({_identity(self.conn_id)})"

    @property
    def bucket(self) -> str:
        """Bucket or container."""
        return self.path.lstrip("/").partition("/")[0]

    def exists(self) -> bool | None:
        """
        Return whether there is an object; None where the credentials may write only.

        Nothing is written. A missing bucket, a rejected key and a local folder that cannot be written to show here.

        :raises StorageError: names the place, the Connection and what to do
        """
        if self.local:
            _require_writable(Path(self.path))
            return Path(self.path).exists()
        self.fs.invalidate_cache()
        with self.failures_explained("reading"):
            try:
                # A listing: unlike the question for one object, a refusal of it says what was refused.
                found = bool(self.fs.find(self.path))
            except Exception as error:
                if is_rejected_key(error) or not is_forbidden(error):
                    raise
                log.info("Whether there is %s cannot be told: the credentials may not list it", self)
                return None
            if not found and "abfs" in self.fs.protocol:
                self._require_container()
            return found

    def _require_container(self) -> None:
        """Look for the container, for adlfs lists one that there is not as an empty one."""
        try:
            self.fs.info(self.bucket)
        except Exception as error:
            if not is_forbidden(error):  # else there is one, and its listing is all that is permitted
                raise

    def size(self) -> int | None:
        """Return the object's size as the store tells it now; None where the credentials may write only."""
        self.fs.invalidate_cache()
        try:
            return int(self.fs.info(self.path)["size"])
        except Exception as error:
            if is_forbidden(error):
                return None
            raise

    @contextmanager
    def failures_explained(self, doing: str) -> Iterator[None]:
        """
        Turn a driver's error into one that names the place, the Connection and the remedy.

        :param doing: ``reading`` or ``writing``
        """
        try:
            yield
        except Exception as error:
            if (failure := self._failure(doing, error)) is None:
                raise
            raise failure from error

    def _failure(self, doing: str, error: Exception) -> StorageError | None:
        why = reason(error)
        if is_transient(error):
            return StorageUnavailableError(
                f"{doing.capitalize()} {self} failed ({why}). An earlier object there is as it was: run the task "
                "again, and if this stays, check the Connection's endpoint and the network between"
            )
        if is_rejected_key(error):
            return StorageConfigurationError(
                f"The store rejected the credentials for {self} ({why}): correct them in that Connection"
            )
        if is_forbidden(error):
            return StorageConfigurationError(
                f"{doing.capitalize()} {self} is not permitted ({why}): give its credentials the permission, or name "
                "another Connection in storage_conn_id"
            )
        if isinstance(error, FileNotFoundError):
            return StorageConfigurationError(
                f"There is no bucket or container {self.bucket!r} for {self} ({why}): create it, or correct output_path"
            )
        if is_refusal(error):
            return StorageConfigurationError(
                f"{doing.capitalize()} {self} failed ({why}): check output_path and the Connection"
            )
        return None


def storage_target(location: str, storage_conn_id: str | None) -> StorageTarget:
    """
    Return an object's place, its storage Connection resolved. The store itself is not asked yet.

    :param location: absolute path or URI
    :param storage_conn_id: Airflow connection of the storage, where the URI does not carry it
    :raises ValueError: for a relative path, or two different connections
    :raises AirflowNotFoundException: for a Connection that does not exist
    :raises StorageError: for a Connection without credentials, or a missing driver
    """
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
        BaseHook.get_connection(conn_id)  # drivers would take an unknown one for none
    target = _with_driver(location, parts.scheme, conn_id)
    if _is_anonymous(target.fs):
        raise StorageConfigurationError(
            f"There are no credentials for {target}, and anonymous access is not used: give login and password of an "
            "Airflow connection in storage_conn_id, or an identity to the worker"
        )
    return target


def _with_driver(location: str, scheme: str, conn_id: str | None) -> StorageTarget:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    try:
        path = ObjectStoragePath(location, conn_id=conn_id)
        # A missing driver is to show now, not after the last record.
        return StorageTarget(location, conn_id, path.fs, path.path, path.protocol in LOCAL_PROTOCOLS)
    except Exception as error:
        if isinstance(error, ImportError) or str(error).startswith(_UNKNOWN_SCHEME):
            raise StorageConfigurationError(_NO_DRIVER.format(scheme=scheme, reason=reason(error))) from error
        failure = StorageUnavailableError if is_transient(error) else StorageConfigurationError
        raise failure(
            f"The storage driver for {location} cannot be set up with {_identity(conn_id)} ({reason(error)}): correct "
            "the Connection"
        ) from error


def _identity(conn_id: str | None) -> str:
    return f"storage connection {conn_id!r}" if conn_id else "no storage connection"


def _is_anonymous(fs: Any) -> bool:
    """Return whether a driver found no credentials and goes on without any: s3fs and adlfs, gcsfs."""
    return bool(getattr(fs, "anon", False)) or getattr(getattr(fs, "credentials", None), "method", None) == "anon"


def _require_writable(file: Path) -> None:
    """Check the nearest folder there is; those below it are made when the object is written."""
    folder = next(parent for parent in file.parents if parent.exists())
    if not folder.is_dir():
        raise StorageConfigurationError(f"{file} cannot be written: {folder} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StorageConfigurationError(f"{file} cannot be written: the task may not write to the folder {folder}")
