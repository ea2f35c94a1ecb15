"""What drivers raise, and whether another try can help."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from airflow_provider_nxcloud.storage.errors import (
    FullDiskError,
    is_forbidden,
    is_refusal,
    is_rejected_key,
    is_transient,
    reason,
)


def s3(code: str, status: int, kind: type[Exception] = OSError) -> Exception:
    """Return what s3fs raises for an answer."""
    from botocore.exceptions import ClientError  # type: ignore[import-untyped]

    error = kind(f"{code} it is")
    error.__cause__ = ClientError(
        {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject"
    )
    return error


def foreign(name: str, **attributes: Any) -> Exception:
    """Return an error of a class of another package."""
    module, _, kind = name.rpartition(".")
    error: Exception = type(kind, (Exception,), {"__module__": module, "__qualname__": kind})("it is")
    for attribute, value in attributes.items():
        setattr(error, attribute, value)
    return error


TRANSIENT = {
    "reset": ConnectionResetError("cut"),
    "timeout": TimeoutError("slow"),
    "unknown OSError": OSError("what"),
    "SlowDown": s3("SlowDown", 503),
    "InternalError": s3("InternalError", 500),
    "RequestTimeout": s3("RequestTimeout", 400, TimeoutError),
    "conflict": s3("OperationAborted", 409),
    "upload ended by another": s3("NoSuchUpload", 404, FileNotFoundError),
    "botocore, refused": foreign("botocore.exceptions.ConnectionError"),
    "botocore, cut": foreign("botocore.exceptions.HTTPClientError"),
    "azure, refused": foreign("azure.core.exceptions.ServiceRequestError"),
    "azure, busy": foreign("azure.core.exceptions.HttpResponseError", status_code=503),
    "azure, blocks of another": foreign("azure.X", status_code=400, error_code="InvalidBlockList"),
    "gcsfs, busy": foreign("gcsfs.retry.HttpError", code=503),
    "gcsfs, code as text": foreign("gcsfs.retry.HttpError", code="429"),
    "gcsfs, checksum": foreign("gcsfs.retry.ChecksumError"),
    "aiohttp": foreign("aiohttp.client_exceptions.ClientError"),
}
PERMANENT = {
    "denied": s3("AccessDenied", 403, PermissionError),
    "no bucket": s3("NoSuchBucket", 404, FileNotFoundError),
    "bad request": s3("InvalidRequest", 400),
    "azure, denied": foreign("azure.core.exceptions.ClientAuthenticationError", status_code=403),
    "gcsfs, denied": OSError("Forbidden: o/day.jsonl"),
    "gcsfs, key": foreign("gcsfs.retry.HttpError", code=401),
    "a program's fault": AttributeError("typo"),
}


@pytest.mark.parametrize("case", TRANSIENT)
def test_transient(case: str) -> None:
    assert is_transient(TRANSIENT[case])


@pytest.mark.parametrize("case", PERMANENT)
def test_permanent(case: str) -> None:
    assert not is_transient(PERMANENT[case])


def test_a_key_that_is_refused_is_told_from_what_it_may_not_do() -> None:
    for code in ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"):
        assert is_rejected_key(s3(code, 403, PermissionError))
    assert is_rejected_key(PERMANENT["gcsfs, key"])
    assert is_rejected_key(foreign("azure.X", status_code=403, error_code="AuthenticationFailed"))
    for case in ("denied", "gcsfs, denied"):
        assert is_forbidden(PERMANENT[case])
        assert not is_rejected_key(PERMANENT[case])
    assert not is_rejected_key(s3("403", 403, PermissionError))  # no more is known of a question for one object


def test_a_programs_fault_is_no_refusal() -> None:
    assert not is_refusal(PERMANENT["a program's fault"])
    assert all(is_refusal(error) for case, error in PERMANENT.items() if "program" not in case)


def test_a_reason_is_one_short_line() -> None:
    assert reason(OSError("first\nsecond")) == "OSError: first"
    assert reason(TimeoutError()) == "TimeoutError"
    assert len(reason(OSError("x" * 9_999))) < 400


def test_a_full_disk_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(FullDiskError("/tmp", "make room there")))  # noqa: S301, S108
    assert str(error) == str(FullDiskError("/tmp", "make room there"))  # noqa: S108
