"""The signature of an NXCloud request ("API interface call convention")."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal, get_args

Algorithm = Literal["md5", "sha256"]
ALGORITHMS: tuple[str, ...] = get_args(Algorithm)


@dataclass(frozen=True, slots=True)
class Credentials:
    """
    An account's key pair; neither half appears in its ``repr``.

    :param access_key: identifies the account; sent with each request
    :param access_secret: signs the requests; never sent
    :param algorithm: digest of the signature, ``md5`` (NXCloud's default) or ``sha256``
    """

    access_key: str = field(repr=False)
    access_secret: str = field(repr=False)
    algorithm: Algorithm = "md5"

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise ValueError(f"algorithm must be one of {', '.join(ALGORITHMS)}, not {self.algorithm!r}")
        if not self.access_key or not self.access_secret:
            raise ValueError("accessKey and accessSecret must both be set")
        if not (self.access_key.isascii() and self.access_key.isprintable() and " " not in self.access_key):
            raise ValueError("accessKey holds a space, a line break or another character that no header can carry")


def string_to_sign(credentials: Credentials, *, action: str, biz_type: str, timestamp: int, body: bytes) -> bytes:
    """
    Return the bytes that are digested, ``accessSecret`` included: never log them.

    :param timestamp: the ``ts`` header, Unix time in milliseconds
    :param body: the JSON text exactly as it is sent; where empty, its part is left out
    """
    head = f"accessKey={credentials.access_key}&action={action}&bizType={biz_type}&ts={timestamp}"
    body_part = b"&body=" + body if body else b""
    return head.encode() + body_part + f"&accessSecret={credentials.access_secret}".encode()


def sign(credentials: Credentials, *, action: str, biz_type: str, timestamp: int, body: bytes) -> str:
    """Return the ``sign`` header: the lowercase hexadecimal digest of :func:`string_to_sign`."""
    text = string_to_sign(credentials, action=action, biz_type=biz_type, timestamp=timestamp, body=body)
    return hashlib.new(credentials.algorithm, text, usedforsecurity=False).hexdigest()


def signed_headers(
    credentials: Credentials, *, action: str, biz_type: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """Return NXCloud's authentication headers for one attempt at a request."""
    headers = {
        "accessKey": credentials.access_key,
        "ts": str(timestamp),
        "bizType": biz_type,
        "action": action,
        "sign": sign(credentials, action=action, biz_type=biz_type, timestamp=timestamp, body=body),
    }
    if credentials.algorithm != "md5":
        headers["algorithm"] = credentials.algorithm
    return headers
