"""An endpoint that is paged by a cursor, as an addition: an end of its own, and nothing else of the package changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from airflow_provider_nxcloud.api.completeness.ends import End
from airflow_provider_nxcloud.api.completeness.fetching import Fetcher
from airflow_provider_nxcloud.api.endpoints import Endpoint
from airflow_provider_nxcloud.api.pages import Facts, Page
from airflow_provider_nxcloud.api.records import Field, FieldType
from airflow_provider_nxcloud.api.windows import Window, time_ranges
from airflow_provider_nxcloud.hooks.nxcloud import NXCloudHook
from tests.conftest import DAY_END, DAY_START

COUNT = 130
PAGE_SIZE = 40


@dataclass(frozen=True)
class CursorPage(Page):
    """A page that tells where the next one begins."""

    cursor: int | None = None


class CursorPages:
    """Follows the cursor, one page after the other."""

    def __init__(self, fetcher: Fetcher, window: Window, page_size: int) -> None:
        self.beyond: dict[int, Page] = {}
        self._fetcher, self._window, self._page_size = fetcher, window, page_size

    def __iter__(self) -> Generator[Page]:
        window: Window | None = self._window
        while window is not None:
            page = self._fetcher.page(window, 1, self._page_size)
            yield page
            cursor = getattr(page, "cursor", None)
            window = None if cursor is None else self._window.with_filters({"cursor": cursor})


class CursorEnd(End):
    """The last page has no cursor."""

    is_numbered = False

    def pages(self, fetcher: Fetcher, window: Window, page_size: int) -> CursorPages:
        return CursorPages(fetcher, window, page_size)


class _Event(msgspec.Struct):
    key: str
    at: int


class _Answer(msgspec.Struct):
    events: list[msgspec.Raw]
    next: int | None = None


class EventEndpoint(Endpoint):
    """Invented events: a time range, paged by a cursor."""

    kind = "event"
    title = "Events"
    fields = (
        Field("key", FieldType.TEXT, "Identifier of the event"),
        Field("at", FieldType.EPOCH_MILLISECONDS, "When it happened"),
    )
    key_field = "key"
    path = "/api/events"
    biz_type = "2"
    action = "event"
    max_page_size = PAGE_SIZE
    transient_codes = frozenset({-1})
    end = CursorEnd()
    filters = MappingProxyType({})

    def windows(
        self, start: int, end: int, *, filters: Any, timezone: ZoneInfo, span: timedelta | None
    ) -> Iterator[Window]:
        return time_ranges(start, end, span, filters, ("from", "to"))

    def page_parameters(self, page: int, page_size: int) -> dict[str, int]:
        return {"limit": page_size}

    def read_page(self, answer: bytes) -> Page:
        found = msgspec.json.decode(answer, type=_Answer)
        facts = self.read_facts(b"[" + b",".join(found.events) + b"]")
        return CursorPage(found.events, facts, cursor=found.next)

    def read_facts(self, records: bytes) -> Facts:
        events = msgspec.json.decode(records, type=list[_Event])
        return Facts([event.key for event in events], [event.at for event in events])


EVENT = EventEndpoint()


class EventServer(ThreadingHTTPServer):
    """Serves events after a cursor; a ceiling cuts what it serves of any question."""

    access_key, access_secret = "event-access-key", "event-access-secret"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        step = (DAY_END - DAY_START) * 1000 // COUNT
        self.events: list[dict[str, Any]] = [
            {"key": f"e-{number}", "at": DAY_START * 1000 + number * step} for number in range(COUNT)
        ]
        self.ceiling = COUNT
        self.url = f"http://127.0.0.1:{self.server_port}"

    def answer(self, query: dict[str, int]) -> dict[str, Any]:
        chosen = [event for event in self.events if query["from"] * 1000 <= event["at"] < query["to"] * 1000]
        chosen = chosen[: self.ceiling]
        first, last = query.get("cursor", 0), query.get("cursor", 0) + query["limit"]
        return {"code": 0, "events": chosen[first:last], "next": last if last < len(chosen) else None}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: EventServer

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        content = json.dumps(self.server.answer(query), separators=(",", ":")).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def server(connection: Callable[..., str]) -> Iterator[EventServer]:
    with EventServer() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        connection(server)
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def keys() -> list[str]:
    return [record["key"] for record in NXCloudHook().iter_records(EVENT, DAY_START, DAY_END)]


def test_all_pages_are_read(server: EventServer) -> None:
    assert keys() == [f"e-{number}" for number in range(COUNT)]


def test_a_ceiling_shows(server: EventServer) -> None:
    server.ceiling = 90
    assert sorted(keys()) == sorted(f"e-{number}" for number in range(COUNT))


def test_a_record_that_is_held_twice_is_written_once(server: EventServer) -> None:
    server.events[PAGE_SIZE] = server.events[PAGE_SIZE - 1]
    found = keys()
    assert len(found) == len(set(found)) == COUNT - 1
