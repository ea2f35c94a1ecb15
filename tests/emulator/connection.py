"""HTTP/1.1 over one connection, down to the ways in which it can go wrong."""

import asyncio
import http
import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import httptools

Delivery = Literal["whole", "close", "reset", "truncate", "drip"]

_NO_LINGER = struct.pack("ii", 1, 0)  # makes the kernel reset the connection instead of closing it
_SEND_BUFFER = 1 << 20


@dataclass(slots=True)
class Request:
    """A complete request; header names are in lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    keep_alive: bool


def _nothing() -> None:
    """Do nothing."""


@dataclass(slots=True)
class Response:
    """What to send, when, and how far; `finished` is called once, whatever becomes of it."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    delivery: Delivery = "whole"
    pace: float = 0.0
    finished: Callable[[], None] = _nothing

    def head(self) -> bytes:
        """Return the status line and the headers."""
        lines = [f"HTTP/1.1 {self.status} {_reason(self.status)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return ("\r\n".join(lines) + f"\r\nContent-Length: {len(self.body)}\r\n\r\n").encode("latin-1")


def _reason(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


class Connection(asyncio.Protocol):
    """Answers the requests of one connection, one after another."""

    def __init__(self, respond: Callable[[Request], Response], connections: "set[Connection]") -> None:
        self._respond = respond
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Request] = deque()
        self._current: Response | None = None
        self._keep_alive = True
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(self)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)

    def connection_lost(self, exc: Exception | None) -> None:
        """End, whatever is still to be sent."""
        self._connections.discard(self)
        self._waiting.clear()
        self._finish()

    def data_received(self, data: bytes) -> None:
        """Read on."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.write(Response(400, headers={"Connection": "close"}).head())
            self._transport.close()

    def abort(self) -> None:
        """Drop the connection."""
        self._transport.abort()

    def on_message_begin(self) -> None:
        """Start a new request."""
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._headers[name.decode("latin-1").lower()] = value.decode("utf-8", "replace")

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Answer the request, or let it wait for its turn."""
        path, _, query = self._target.decode("latin-1").partition("?")
        self._waiting.append(
            Request(
                method=self._parser.get_method().decode(),
                path=path,
                query=query,
                headers=self._headers,
                body=b"".join(self._body),
                keep_alive=self._parser.should_keep_alive(),
            )
        )
        self._answer_waiting()

    def _answer_waiting(self) -> None:
        while self._waiting and self._current is None and not self._transport.is_closing():
            request = self._waiting.popleft()
            self._keep_alive = request.keep_alive
            response = self._current = self._respond(request)
            if not request.keep_alive:
                response.headers["Connection"] = "close"
            if response.delay > 0:
                self._timer = self._loop.call_later(response.delay, self._deliver_late, response)
            else:
                _DELIVERIES[response.delivery](self, response)

    def _deliver_late(self, response: Response) -> None:
        _DELIVERIES[response.delivery](self, response)
        self._answer_waiting()

    def _finish(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._current is not None:
            response, self._current = self._current, None
            response.finished()

    def _close_unless_kept_alive(self) -> None:
        if not self._keep_alive:
            self._transport.close()

    def _deliver_whole(self, response: Response) -> None:
        self._finish()  # first, so that nobody can have the answer while it still counts as in flight
        self._transport.write(response.head() + response.body)
        self._close_unless_kept_alive()

    def _deliver_nothing(self, response: Response) -> None:
        self._finish()
        self._transport.close()

    def _deliver_half(self, response: Response) -> None:
        self._finish()
        self._transport.write(response.head() + response.body[: len(response.body) // 2])
        self._transport.close()

    def _deliver_half_and_reset(self, response: Response) -> None:
        self._finish()
        self._transport.write(response.head() + response.body[: len(response.body) // 2])
        connection = self._transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._transport.abort()

    def _deliver_slowly(self, response: Response, sent: int = 0) -> None:
        if sent == 0:
            self._transport.write(response.head())
        if sent == len(response.body):
            self._finish()
            self._close_unless_kept_alive()
            self._answer_waiting()
            return
        self._transport.write(response.body[sent : sent + 1])
        self._timer = self._loop.call_later(response.pace, self._deliver_slowly, response, sent + 1)


_DELIVERIES: dict[Delivery, Callable[[Connection, Response], None]] = {
    "whole": Connection._deliver_whole,
    "close": Connection._deliver_nothing,
    "reset": Connection._deliver_half_and_reset,
    "truncate": Connection._deliver_half,
    "drip": Connection._deliver_slowly,
}
