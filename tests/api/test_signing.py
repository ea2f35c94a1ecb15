"""The signature, against NXCloud's own vectors and an independent implementation."""

from __future__ import annotations

import hashlib
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_nxcloud.api.signing import ALGORITHMS, Algorithm, Credentials, sign, signed_headers
from tests.api.conftest import examples
from tests.emulator.rules import signature

GOLDEN: dict[str, Any] = {"action": "send", "biz_type": "1", "timestamp": 1655710885431}
ACCOUNT = Credentials("fme2na3kdi3ki", "abciiiko2k3")
ACCOUNT_SHA256 = Credentials(ACCOUNT.access_key, ACCOUNT.access_secret, "sha256")

keys = st.text(string.ascii_letters + string.digits + "-_.", min_size=1)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"name":"牛小信","id":10001}', "87c3560d3331ae23f1021e2025722354"),
        ('{"id":10001,"name":"牛小信"}', "7750759da06333f20d0640be09355e34"),
        ('{"id": 10001, "name": "牛小信"}', "d0c24a9886c629330d7f3f2056c65bc2"),
    ],
)
def test_golden_vectors(body: str, expected: str) -> None:
    assert sign(ACCOUNT, **GOLDEN, body=body.encode()) == expected


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_empty_body_is_left_out_of_what_is_signed(algorithm: Algorithm) -> None:
    text = b"accessKey=fme2na3kdi3ki&action=send&bizType=1&ts=1655710885431&accessSecret=abciiiko2k3"
    credentials = Credentials(ACCOUNT.access_key, ACCOUNT.access_secret, algorithm)
    assert sign(credentials, **GOLDEN, body=b"") == hashlib.new(algorithm, text).hexdigest()


@examples(200)
@given(
    access_key=keys,
    access_secret=st.text(min_size=1).filter(lambda text: text.isprintable()),
    algorithm=st.sampled_from(ALGORITHMS),
    action=keys,
    biz_type=keys,
    timestamp=st.integers(0, 10**15),
    body=st.binary(),
)
def test_the_server_agrees(
    access_key: str,
    access_secret: str,
    algorithm: Algorithm,
    action: str,
    biz_type: str,
    timestamp: int,
    body: bytes,
) -> None:
    credentials = Credentials(access_key, access_secret, algorithm)
    headers = signed_headers(credentials, action=action, biz_type=biz_type, timestamp=timestamp, body=body)
    received = {name.lower(): value for name, value in headers.items()}
    assert received["sign"] == signature(received, body, access_secret)


def test_headers_name_the_algorithm_only_where_it_is_not_the_default() -> None:
    common = {"accessKey", "ts", "bizType", "action", "sign"}
    assert signed_headers(ACCOUNT, **GOLDEN, body=b"{}").keys() == common
    headers = signed_headers(ACCOUNT_SHA256, **GOLDEN, body=b"{}")
    assert headers.keys() == common | {"algorithm"}
    assert headers["algorithm"] == "sha256"
    assert len(headers["sign"]) == 64


@pytest.mark.parametrize("credentials", [ACCOUNT, ACCOUNT_SHA256])
def test_headers_do_not_hold_the_secret(credentials: Credentials) -> None:
    headers = signed_headers(credentials, **GOLDEN, body=b"{}")
    assert not any(credentials.access_secret in value for value in headers.values())


def test_credentials_hide_both_halves() -> None:
    assert repr(ACCOUNT_SHA256) == str(ACCOUNT_SHA256) == "Credentials(algorithm='sha256')"


@pytest.mark.parametrize(("access_key", "access_secret"), [("", "secret"), ("key", "")])
def test_credentials_need_both_halves(access_key: str, access_secret: str) -> None:
    with pytest.raises(ValueError, match="must both be set"):
        Credentials(access_key, access_secret)


def test_credentials_know_their_algorithms() -> None:
    with pytest.raises(ValueError, match="md5, sha256, not 'sha1'"):
        Credentials("key", "secret", "sha1")  # type: ignore[arg-type]


@pytest.mark.parametrize("access_key", ["my-key\n", "my-key\r\nX: y", " my-key", "my key", "my-key\x00", "my-kéy"])
def test_a_key_that_no_header_can_hold_is_refused_unnamed(access_key: str) -> None:
    with pytest.raises(ValueError, match="accessKey") as caught:
        Credentials(access_key, "secret")
    assert "my" not in str(caught.value)
