"""The floor: sign, send, read, forget. It knows the number of pages beforehand and does nothing with them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec
import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from benchmarks.jobs import CONCURRENCY, Job
from benchmarks.nxcloud import signed_headers

_TIMEOUT = 30


def fetch_prepared(job: Job) -> None:
    """Fetch at the least cost that ``requests`` allows: prepared by hand, no session, the body read in one go."""
    url = job.url + job.kind.path
    thread = threading.local()

    def post(body: bytes) -> int:
        if not hasattr(thread, "adapter"):
            thread.adapter = HTTPAdapter(pool_connections=1, pool_maxsize=1)
        request = requests.PreparedRequest()
        request.method, request.url, request.body = "POST", url, body
        headers = {**signed_headers(job.kind, body), "Content-Length": str(len(body))}
        request.headers = CaseInsensitiveDict(headers)
        with thread.adapter.send(request, stream=True, timeout=_TIMEOUT) as response:
            response.raw.read()
            return int(response.status_code)

    _fetch_pages(job, post)


def fetch(job: Job) -> None:
    """Fetch as people do, with one ``Session`` a thread."""
    url = job.url + job.kind.path
    thread = threading.local()

    def post(body: bytes) -> int:
        if not hasattr(thread, "session"):
            thread.session = requests.Session()
        response: requests.Response = thread.session.post(
            url, data=body, headers=signed_headers(job.kind, body), timeout=_TIMEOUT
        )
        return response.status_code

    _fetch_pages(job, post)


def _fetch_pages(job: Job, post: Callable[[bytes], int]) -> None:
    query = job.kind.query(job.start, job.end)
    bodies = [msgspec.json.encode({**query, "page": page}) for page in range(1, job.pages + 1)]
    with ThreadPoolExecutor(CONCURRENCY) as threads:
        if any(status != 200 for status in threads.map(post, bodies)):
            raise RuntimeError("A page was not served")
