"""What can go wrong with a store: whose fault it is, whether another try can help, and what to do."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, ClassVar

#: A disk, a quota, or the process's own limit on file sizes is at its end.
FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
SPOOL_REMEDY = "make room there, or point TMPDIR of the worker at a larger one"

_LONGEST_REASON = 300
#: Answers below 500 after which the same request may succeed; 409: another writer was at it.
_TRANSIENT_STATUSES = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS})
#: An upload in parts that somebody else ended: another run of the same interval, or a lifecycle rule.
_TRANSIENT_CODES = frozenset({"NoSuchUpload", "InvalidBlockList"})
#: What drivers raise for a broken connection beside OSError; by name, since no driver is imported here.
_TRANSIENT_CLASSES = frozenset(
    {
        "aiohttp.client_exceptions.ClientError",
        "azure.core.exceptions.ServiceRequestError",
        "azure.core.exceptions.ServiceResponseError",
        "botocore.exceptions.ConnectionError",
        "botocore.exceptions.HTTPClientError",
        "botocore.parsers.ResponseParserError",
        "gcsfs.retry.ChecksumError",
        "google.auth.exceptions.TransportError",
    }
)
_PERMANENT_OS_ERRORS = (
    PermissionError,
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
)
#: With these the key is good, but may not do this; any other refusal is of the key itself.
_NOT_ALLOWED_CODES = frozenset({"AccessDenied", "AllAccessDisabled", "AuthorizationPermissionMismatch", "403"})


class StorageError(Exception):
    """Base of all failures of the storage; the message names the place, its Connection and the remedy."""

    #: Whether the task may succeed when it is run again.
    transient: ClassVar[bool] = False


class StorageConfigurationError(StorageError):
    """The Connection, its permissions or the path are wrong."""


class StorageUnavailableError(StorageError):
    """The store did not answer, or could not do it now."""

    transient = True


class FullDiskError(StorageError):
    """A local folder has no room left; another worker, or a later run, may have it."""

    transient = True

    def __init__(self, folder: str, remedy: str) -> None:
        super().__init__(f"The disk is full, or a quota or limit is reached, in the folder {folder}: {remedy}")
        self.folder = folder
        self.remedy = remedy

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.folder, self.remedy))


@contextmanager
def full_disk_named(folder: str | None = None, remedy: str = SPOOL_REMEDY) -> Iterator[None]:
    """
    Name the folder that the block finds full.

    :param folder: None: that of temporary files
    :param remedy: what to do then
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL_DISK:
            raise FullDiskError(folder or tempfile.gettempdir(), remedy) from error
        raise


def is_transient(error: BaseException) -> bool:
    """Return whether the same request to a store may succeed when it is made again."""
    if _codes(error) & _TRANSIENT_CODES or isinstance(error, (ConnectionError, TimeoutError)):
        return True
    if isinstance(error, _PERMANENT_OS_ERRORS) or is_forbidden(error):
        return False
    if (status := _status(error)) is not None:
        return status in _TRANSIENT_STATUSES or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    classes = {f"{c.__module__}.{c.__qualname__}" for c in type(error).__mro__}
    return isinstance(error, OSError) or not _TRANSIENT_CLASSES.isdisjoint(classes)


def is_forbidden(error: BaseException) -> bool:
    """Return whether the store refused the key, or what was to be done with it."""
    if isinstance(error, PermissionError) or _status(error) in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return True
    return isinstance(error, OSError) and str(error).startswith("Forbidden")  # gcsfs has no more to say of a 403


def is_rejected_key(error: BaseException) -> bool:
    """Return whether the store refused the key itself: unknown, wrongly signed, expired."""
    if not is_forbidden(error):
        return False
    codes = _codes(error)
    return (bool(codes) and codes.isdisjoint(_NOT_ALLOWED_CODES)) or _status(error) == HTTPStatus.UNAUTHORIZED


def is_refusal(error: BaseException) -> bool:
    """Return whether an error is a store's or the operating system's answer, and no fault in a program."""
    return isinstance(error, OSError) or _status(error) is not None


def reason(error: BaseException) -> str:
    """Return a driver's message in one line of bounded length."""
    line = next(iter(str(error).splitlines()), "")[:_LONGEST_REASON]
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _codes(error: BaseException) -> frozenset[str]:
    """Return the codes that a store gave: of an S3 (botocore), and of an Azure error."""
    found: set[Any] = set()
    for link in _chain(error):
        response = getattr(link, "response", None)
        if isinstance(response, dict):
            found.add(response.get("Error", {}).get("Code"))
        found.add(getattr(link, "error_code", None))
    return frozenset(str(getattr(code, "value", code)) for code in found if code)


def _status(error: BaseException) -> int | None:
    """Return the HTTP status that an error stands for, if any."""
    for link in _chain(error):
        response = getattr(link, "response", None)
        if isinstance(response, dict):  # botocore
            return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) or None
        for holder, name in ((link, "status_code"), (link, "status"), (link, "code"), (response, "status_code")):
            value = getattr(holder, name, None)  # azure, aiohttp, gcsfs, requests
            if isinstance(value, (int, str)) and str(value).isdecimal():
                return int(value)
    return None
