"""What the tests of the API share: clients, records to expect, a server without manners, and an ear for secrets."""

from __future__ import annotations

import logging
import pickle
import random
import re
import socketserver
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import settings

from airflow_provider_nxcloud.api.client import NXCloudClient
from airflow_provider_nxcloud.api.endpoints import CALL_CENTER_CDR, DID_CDR, Endpoint
from airflow_provider_nxcloud.api.errors import NXCloudError, NXCloudIncompleteResultError
from airflow_provider_nxcloud.api.extraction import Extraction
from airflow_provider_nxcloud.api.pages import Page
from airflow_provider_nxcloud.api.signing import Algorithm, Credentials
from tests.conftest import DAY, DAY_END, DAY_START, ZONE
from tests.emulator import Behaviour, Emulator, generate_call_center_cdrs, generate_did_cdrs
from tests.trials import starting_at

Record = dict[str, Any]
StartEmulator = Callable[..., Emulator]

#: Each record kind's name at the emulator.
NAMES = {CALL_CENTER_CDR: "call_center", DID_CDR: "did"}
QUERIES: dict[Endpoint, dict[str, Any]] = {
    CALL_CENTER_CDR: {"startTime": DAY_START, "endTime": DAY_END, "size": 100, "page": 1},
    DID_CDR: {"date": DAY.isoformat(), "pageSize": 999, "page": 1},
}

KEY_FIELDS = {CALL_CENTER_CDR: "callId", DID_CDR: "id"}

each_kind = pytest.mark.parametrize("endpoint", NAMES, ids=NAMES.values())
each_concurrency = pytest.mark.parametrize("max_concurrency", [1, 8])
each_consistency = pytest.mark.parametrize("consistency", ["single", "double"])
each_order = pytest.mark.parametrize("order", ["descending", "ascending", "none"])


def examples(count: int) -> settings:
    """Try so many examples, the same ones each time: a red build is to mean a change in the code."""
    return settings(max_examples=count, derandomize=True, deadline=None, database=None)


_clients: list[NXCloudClient] = []


def client_of(server: Emulator | RudeServer, *, algorithm: Algorithm = "md5", **options: Any) -> NXCloudClient:
    credentials = Credentials(server.access_key, server.access_secret, algorithm)
    client = NXCloudClient(credentials, options.pop("base_url", server.url), **{"timeout": 5.0, **options})
    _clients.append(client)
    return client


def fetch(client: NXCloudClient, endpoint: Endpoint = CALL_CENTER_CDR, **parameters: Any) -> Page:
    return client.fetch_page(endpoint, {**QUERIES[endpoint], **parameters})


def failure(client: NXCloudClient, endpoint: Endpoint = CALL_CENTER_CDR, **parameters: Any) -> NXCloudError:
    """Return the error of a query, after a look at all that it says."""
    with pytest.raises(NXCloudError) as caught:
        fetch(client, endpoint, **parameters)
    error = caught.value
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301
    assert error.endpoint == endpoint.kind
    assert_no_secret("\n".join([str(error), repr(error), *traceback.format_exception(error)]))
    return error


def extraction_of(
    server: Emulator,
    endpoint: Endpoint,
    start: int = DAY_START,
    end: int = DAY_END,
    *,
    timezone: ZoneInfo = ZONE,
    max_concurrency: int = 8,
    timeout: float = 5.0,
    requests_per_second: float | None = None,
    **options: Any,
) -> Extraction:
    client = client_of(
        server, max_concurrency=max_concurrency, timeout=timeout, requests_per_second=requests_per_second
    )
    return Extraction(client, endpoint, start, end, timezone=timezone, **options)


def extract(server: Emulator, endpoint: Endpoint, *interval: int, **options: Any) -> list[bytes]:
    """Return the lines of an interval, sorted."""
    with extraction_of(server, endpoint, *interval, **options) as extraction:
        return lines_of(extraction)


def lines_of(extraction: Extraction) -> list[bytes]:
    lines = sorted(line for block in extraction.blocks() for line in block.splitlines(keepends=True))
    assert extraction.records == len(lines)
    return lines


def records_of_day(endpoint: Endpoint, count: int) -> list[Record]:
    generate = generate_call_center_cdrs if endpoint is CALL_CENTER_CDR else generate_did_cdrs
    return generate(DAY, count)


def server_of(
    emulator: StartEmulator, endpoint: Endpoint, count: int, *, behaviour: dict[str, Any] | None = None, **options: Any
) -> Emulator:
    """Start an emulator that holds so many records of the day."""
    records = records_of_day(endpoint, count)
    return emulator(**{NAMES[endpoint]: records}, behaviour=Behaviour(**(behaviour or {})), **options)


def without_keys(endpoint: Endpoint, records: list[Record]) -> list[Record]:
    return [{name: value for name, value in record.items() if name != KEY_FIELDS[endpoint]} for record in records]


def records_within(endpoint: Endpoint, count: int, seconds: int, *, seed: int = 0) -> list[Record]:
    """Return records that start on random ones of the day's first seconds."""
    rng = random.Random(seed)
    starts = (DAY_START + rng.randrange(seconds) for _ in range(count))
    return [
        starting_at(NAMES[endpoint], record, start)
        for record, start in zip(records_of_day(endpoint, count), starts, strict=True)
    ]


def assert_right(server: Emulator, endpoint: Endpoint, **options: Any) -> None:
    assert extract(server, endpoint, **options) == server_records(server, endpoint)


def assert_right_or_red(server: Emulator, endpoint: Endpoint, **options: Any) -> None:
    try:
        lines = extract(server, endpoint, **options)
    except NXCloudIncompleteResultError:
        return
    assert lines == server_records(server, endpoint)


def server_records(server: Emulator, endpoint: Endpoint, start: int = DAY_START, end: int = DAY_END) -> list[bytes]:
    """Return the lines to expect of an interval, sorted."""
    records = server.call_center_cdrs if endpoint is CALL_CENTER_CDR else server.did_cdrs
    return lines_for(server, endpoint, records(start, end))


def lines_for(server: Emulator, endpoint: Endpoint, records: Iterable[Record]) -> list[bytes]:
    return sorted(server.json_of(NAMES[endpoint], record) + b"\n" for record in records)


def worker_threads() -> list[str]:
    names = (thread.name for thread in threading.enumerate())
    return [name for name in names if name.startswith(("nxcloud-page", "nxcloud-window"))]


class RudeServer(socketserver.ThreadingTCPServer):
    """Answers each request with the same bytes, right or wrong, and hangs up."""

    daemon_threads = True
    access_key = "rude-access-key"
    access_secret = "rude-access-secret"

    def __init__(self, answer: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _RudeHandler)
        self.answer = answer
        self.requests = 0
        #: Values of the ``sign`` header that came.
        self.signs: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _RudeHandler(socketserver.StreamRequestHandler):
    server: RudeServer

    def handle(self) -> None:
        size = 0
        while (line := self.rfile.readline().strip().decode()) != "":
            name, _, value = line.partition(": ")
            if name.lower() == "content-length":
                size = int(value)
            elif name == "sign":
                self.server.signs.append(value)
        self.rfile.read(size)
        self.server.requests += 1
        self.wfile.write(self.server.answer.replace(b"{sign}", self.server.signs[-1].encode()))


@pytest.fixture
def rude() -> Iterator[Callable[[bytes], RudeServer]]:
    """Return a function that starts a server which always answers with the given bytes."""
    started: list[RudeServer] = []

    def start(answer: bytes) -> RudeServer:
        server = RudeServer(answer)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return a whole HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


SECRETS = (Emulator().access_key, Emulator().access_secret, RudeServer.access_key, RudeServer.access_secret)
#: A signature, or a record's identifier; NXCloud's request id is the one such text to be shown.
DIGEST = re.compile(r"(?<!reqId )\b[0-9a-fA-F]{32,}\b")


def assert_no_secret(text: str) -> None:
    for secret in SECRETS:
        assert secret not in text
    assert not DIGEST.search(text)


class Ear(logging.Handler):
    """Keeps all that is logged, by whomever."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(f"{record.name} {record.levelname} {self.format(record)}")

    def heard(self, text: str) -> int:
        """Return how many messages hold a text."""
        return sum(text in message for message in self.messages)


@pytest.fixture(autouse=True)
def _closed_clients() -> Iterator[None]:
    yield
    while _clients:
        _clients.pop().close()


@pytest.fixture(autouse=True)
def logs() -> Iterator[Ear]:
    """Listen at DEBUG level: whatever a test does, no credential and no signature may be heard."""
    ear = Ear()
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    root.addHandler(ear)
    yield ear
    root.removeHandler(ear)
    root.setLevel(level)
    assert_no_secret("\n".join(ear.messages))
