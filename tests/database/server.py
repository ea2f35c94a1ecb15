"""An NXCloud server whose pages a database gives."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from tests.database.databases import Connection
from tests.database.tables import Table
from tests.emulator.answers import Answers
from tests.emulator.behaviour import USUAL
from tests.emulator.encoding import Verbatim
from tests.emulator.endpoints import BY_NAME, CALL_CENTER
from tests.emulator.rules import Account, RefusalError, check_body, check_headers, parse_body
from tests.emulator.store import Query
from tests.system.processes import LOOPBACK

_ACCOUNT = Account("database-access-key", "database-access-secret", BY_NAME)
_IDLE_SECONDS = 60


class SqlServer(ThreadingHTTPServer):
    """
    Serves the records of one table.

    :param table: holds them
    """

    request_queue_size = 128

    def __init__(self, table: Table) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        self.access_key = _ACCOUNT.access_key
        self.access_secret = _ACCOUNT.access_secret
        self.table = table
        self._answers = Answers(USUAL, pretty=False)

    @property
    def url(self) -> str:
        """Return the base URL."""
        return f"http://{LOOPBACK}:{self.server_address[1]}"

    def answer(self, headers: Mapping[str, str], body: bytes, connection: Connection) -> bytes:
        """Return the answer to a request, whose header names are in lower case."""
        endpoint = self.table.endpoint
        try:
            check_headers(endpoint, headers, body, _ACCOUNT, time.time())
            query = check_body(endpoint, parse_body(body), "exclusive")
        except RefusalError as refusal:
            return self._envelope(refusal.code, refusal.message, endpoint.failure_data)
        return self._envelope(0, endpoint.success_message, self._data(query, connection))

    def _envelope(self, code: int, message: str, data: Any) -> bytes:
        return self._answers.envelope(self.table.endpoint, os.urandom(16).hex(), code, message, data)

    def _data(self, query: Query, connection: Connection) -> Any:
        records = [Verbatim(text.decode()) for text in self.table.page(connection, query)]
        if self.table.endpoint is CALL_CENTER:
            return records
        total = self.table.count(connection, query)
        return {
            "totalRow": total,
            "pageNumber": query.page,
            "totalPage": -(-total // query.size),
            "pageSize": query.size,
            "list": records,
        }


class _Handler(BaseHTTPRequestHandler):
    """Answers the requests of one HTTP connection over one connection to the database."""

    server: SqlServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = _IDLE_SECONDS

    def setup(self) -> None:
        super().setup()
        self._connection = self.server.table.database.connect()

    def finish(self) -> None:
        self._connection.close()
        super().finish()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != self.server.table.endpoint.path:
            self.send_error(404)
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.answer(headers, body, self._connection)
        self._connection.commit()  # what the next page is to see
        self.send_response(200)
        self.send_header("Content-Type", "application/json;charset=UTF-8")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(table: Table) -> Iterator[SqlServer]:
    """Serve a table in a thread."""
    with SqlServer(table) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,), name="nxcloud-sql-server")
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
