"""What a user has to know of the NXCloud API to fetch records without this package."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from requests import PreparedRequest
from requests.auth import AuthBase

ACCESS_KEY = "benchmark-access-key"
ACCESS_SECRET = "benchmark-access-secret"  # noqa: S105 - invented
ZONE = ZoneInfo("Asia/Shanghai")


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the two endpoints."""

    name: str
    title: str
    path: str
    biz_type: str
    action: str
    key: str
    page_size: int
    size_parameter: str
    data_path: tuple[str, ...]

    def query(self, start: int, end: int) -> dict[str, Any]:
        """Return the body that asks for an interval (of DID records: a whole date), without the page's number."""
        size = {self.size_parameter: self.page_size}
        if self is CALL_CENTER:
            return {"startTime": start, "endTime": end, **size}
        return {"date": datetime.fromtimestamp(start, ZONE).date().isoformat(), **size}

    def records(self, answer: Any) -> list[dict[str, Any]]:
        """Return the records of a decoded answer, which has to be a success."""
        if answer["code"] != 0:
            raise RuntimeError(f"The server answered with code {answer['code']}")
        for name in self.data_path:
            answer = answer[name]
        records: list[dict[str, Any]] = answer
        return records


CALL_CENTER = Kind(
    name="call_center",
    title="call center",
    path="/saas/cc/openapi/cdr/page",
    biz_type="8",
    action="cc",
    key="callId",
    page_size=100,
    size_parameter="size",
    data_path=("data",),
)
DID = Kind(
    name="did",
    title="DID",
    path="/api/did/cdr",
    biz_type="4",
    action="cdr",
    key="id",
    page_size=999,
    size_parameter="pageSize",
    data_path=("data", "list"),
)
KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in (CALL_CENTER, DID)})


class SigningAuth(AuthBase):
    """Signs the requests of a ``requests`` session, or of whatever is built on one."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Add the headers."""
        body: Any = request.body
        request.headers.update(signed_headers(self._kind, body))
        return request


def signed_headers(kind: Kind, body: bytes | str) -> dict[str, str]:
    """Return the headers of a request that is sent now."""
    if isinstance(body, str):
        body = body.encode()
    timestamp = str(int(time.time() * 1000))
    head = f"accessKey={ACCESS_KEY}&action={kind.action}&bizType={kind.biz_type}&ts={timestamp}&body="
    text = head.encode() + body + f"&accessSecret={ACCESS_SECRET}".encode()
    return {
        "Content-Type": "application/json",
        "accessKey": ACCESS_KEY,
        "ts": timestamp,
        "bizType": kind.biz_type,
        "action": kind.action,
        "sign": hashlib.md5(text, usedforsecurity=False).hexdigest(),
    }
