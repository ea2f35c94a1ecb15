"""Errors: what they tell, and that they survive the way between processes."""

from __future__ import annotations

import pickle

import pytest

from airflow_provider_nxcloud.api import errors
from airflow_provider_nxcloud.api.errors import NXCloudError

PERMANENT = (
    errors.NXCloudAuthenticationError,
    errors.NXCloudPermissionError,
    errors.NXCloudInvalidRequestError,
    errors.NXCloudClockSkewError,
)
TRANSIENT = (
    errors.NXCloudRateLimitError,
    errors.NXCloudServerError,
    errors.NXCloudTransportError,
    errors.NXCloudUnexpectedResponseError,
    errors.NXCloudMisplacedRecordsError,
    errors.NXCloudNotEndedError,
    errors.NXCloudIncompleteResultError,
)

each_error = pytest.mark.parametrize("error_type", PERMANENT + TRANSIENT)


def test_every_error_is_either_permanent_or_transient() -> None:
    assert set(NXCloudError.__subclasses__()) == {*PERMANENT, *TRANSIENT}
    assert not any(error.transient for error in PERMANENT)
    assert all(error.transient for error in TRANSIENT)


@each_error
def test_text_holds_what_happened_the_facts_and_the_remedy(error_type: type[NXCloudError]) -> None:
    error = error_type("It broke", code=0, request_id="abc", endpoint="did_cdr")
    assert str(error) == f"It broke (endpoint did_cdr, code 0, reqId abc). {error_type.remedy}"
    assert error_type.remedy


@each_error
def test_text_leaves_out_unknown_facts(error_type: type[NXCloudError]) -> None:
    assert str(error_type("It broke")) == f"It broke. {error_type.remedy}"


@each_error
def test_survives_pickling_whole(error_type: type[NXCloudError]) -> None:
    error = error_type("It broke", code=7, request_id="abc", endpoint="did_cdr", retry_after=1.5)
    error.message += "; and more"
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(copy) is error_type
    assert str(copy) == str(error)
    assert copy.__dict__ == error.__dict__
