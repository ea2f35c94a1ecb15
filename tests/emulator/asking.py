"""Signed requests to an emulator, made without the client."""

import datetime
import hashlib
import json
import time
from typing import Any

import requests

from tests.emulator.encoding import decode
from tests.emulator.server import Emulator

DAY = datetime.date(2023, 7, 1)
START = 1688140800  # the first instant of that day in Asia/Shanghai
END = START + 86400
PATHS = {"call_center": "/saas/cc/openapi/cdr/page", "did": "/api/did/cdr"}
BUSINESS = {"call_center": ("8", "cc"), "did": ("4", "cdr")}
BODIES: dict[str, dict[str, Any]] = {
    "call_center": {"startTime": START, "endTime": END, "size": 100, "page": 1},
    "did": {"date": "2023-07-01", "pageSize": 999, "page": 1},
}


def request_of(
    emulator: Emulator,
    endpoint: str,
    body: Any = None,
    *,
    raw: bytes | None = None,
    algorithm: str | None = None,
    headers: dict[str, str | None] | None = None,
    **changes: Any,
) -> requests.PreparedRequest:
    """Return a signed request; `headers` are set (None: left out) before signing, `sign` after it."""
    if raw is None:
        raw = json.dumps({**(body or BODIES[endpoint]), **changes}, ensure_ascii=False).encode()
    business, action = BUSINESS[endpoint]
    sent: dict[str, str | None] = {
        "accessKey": emulator.access_key,
        "ts": str(int(time.time() * 1000)),
        "bizType": business,
        "action": action,
        "Content-Type": "application/json",
        "algorithm": algorithm,
        **(headers or {}),
    }
    text = "&".join(f"{name}={sent[name]}" for name in ("accessKey", "action", "bizType", "ts")).encode()
    text += (b"&body=" + raw if raw else b"") + f"&accessSecret={emulator.access_secret}".encode()
    digest = hashlib.sha256 if algorithm == "sha256" else hashlib.md5
    sent = {"sign": digest(text).hexdigest(), **sent}
    kept = {name: value for name, value in sent.items() if value is not None}
    return requests.Request("POST", emulator.url + PATHS[endpoint], headers=kept, data=raw).prepare()


def send(emulator: Emulator, endpoint: str, body: Any = None, **options: Any) -> requests.Response:
    with requests.Session() as session:
        prepared = request_of(emulator, endpoint, body, **options)
        return session.send(prepared, timeout=5, allow_redirects=False)


def code_of(emulator: Emulator, endpoint: str = "call_center", body: Any = None, **options: Any) -> int:
    response = send(emulator, endpoint, body, **options)
    assert response.status_code == 200
    return int(response.json()["code"])


def records_of(emulator: Emulator, endpoint: str, body: Any = None, **options: Any) -> list[dict[str, Any]]:
    answer = decode(send(emulator, endpoint, body, **options).content)
    assert answer["code"] == 0
    records: list[dict[str, Any]] = answer["data"] if endpoint == "call_center" else answer["data"]["list"]
    return records


def all_records(emulator: Emulator, endpoint: str, size: int, **changes: Any) -> list[dict[str, Any]]:
    """Return the records of every page, up to one that is not full."""
    size_name = "size" if endpoint == "call_center" else "pageSize"
    found: list[dict[str, Any]] = []
    for page in range(1, 1000):
        records = records_of(emulator, endpoint, **{**changes, size_name: size, "page": page})
        found += records
        if len(records) < size:
            break
    return found


def without(endpoint: str, name: str) -> dict[str, Any]:
    return {key: value for key, value in BODIES[endpoint].items() if key != name}
