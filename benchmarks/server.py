"""The stand-in NXCloud server that everyone fetches from, in a process and on a core of its own."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import IO, Any
from urllib.parse import urlsplit

from benchmarks.jobs import Job
from benchmarks.nxcloud import ACCESS_KEY, ACCESS_SECRET, signed_headers
from tests.demo.processes import running_server as stand_in_server

#: For a control request; it may have to make a million records first.
TIMEOUT = 300
#: No benchmark takes longer.
LONGEST_SECONDS = 2 * 3600
RECEIVED_BYTES = 1 << 20


class Server:
    """
    A server that runs.

    :param url: where it listens
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._address = urlsplit(url).netloc

    def set_latency(self, milliseconds: int) -> None:
        """Add so much time to each answer from now on."""
        self._ask("DELETE", "faults")
        if milliseconds:
            self._ask("POST", "faults", [{"kind": "latency", "seconds": milliseconds / 1000, "times": None}])

    def reset_statistics(self) -> None:
        """Forget the requests so far."""
        self._ask("POST", "reset")

    def statistics(self) -> dict[str, Any]:
        """Return what the server counted since the last reset."""
        counts: dict[str, Any] = json.loads(self._ask("GET", "statistics"))
        return counts

    def records(self, kind: str, start: int, end: int) -> list[bytes]:
        """Return the records that it holds of an interval, each as the JSON that it serves."""
        return self._ask("GET", f"records/{kind}?start={start}&end={end}").split(b"\n")[:-1]

    def pages_per_second(self, job: Job) -> float:
        """Ask for all pages of a job in one go, on one connection, and return how fast they come."""
        requests = b"".join(_raw_request(job, page, self._address) for page in range(1, job.pages + 1))
        host, port = self._address.split(":")
        answers = 0
        with socket.create_connection((host, int(port)), TIMEOUT) as connection:
            started = time.perf_counter()
            connection.sendall(requests)
            tail = b""
            while received := connection.recv(RECEIVED_BYTES):
                answers += (tail + received).count(_ANSWER) - tail.count(_ANSWER)
                tail = received[1 - len(_ANSWER) :]
            seconds = time.perf_counter() - started
        if answers != job.pages:
            raise RuntimeError(f"The server answered {answers} of {job.pages} requests")
        return answers / seconds

    def _ask(self, method: str, action: str, body: object = None) -> bytes:
        connection = HTTPConnection(self._address, timeout=TIMEOUT)
        try:
            connection.request(method, f"/_emulator/{action}", None if body is None else json.dumps(body))
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise RuntimeError(f"The server refused {action}: {answer.decode()}")
        return answer


_ANSWER = b"HTTP/1.1 200 OK\r\n"


def _raw_request(job: Job, page: int, host: str) -> bytes:
    body = json.dumps({**job.kind.query(job.start, job.end), "page": page}).encode()
    headers = {"Host": host, "Content-Length": str(len(body)), **signed_headers(job.kind, body)}
    if page == job.pages:
        headers["Connection"] = "close"
    lines = [f"POST {job.kind.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


@contextmanager
def running_server(log: IO[str], *, cpu: int, call_center_per_day: int, did_per_day: int) -> Iterator[Server]:
    """Run a server on one core, and stop it whatever happens."""
    with stand_in_server(
        log,
        longest_seconds=LONGEST_SECONDS,
        cpu=cpu,
        call_center_per_day=call_center_per_day,
        did_per_day=did_per_day,
        access_key=ACCESS_KEY,
        access_secret=ACCESS_SECRET,
    ) as server:
        yield Server(server.url)
