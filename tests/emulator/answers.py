"""The JSON bodies that the server answers with."""

from functools import lru_cache
from typing import Any

from tests.emulator.behaviour import Behaviour
from tests.emulator.encoding import Verbatim, decode, encode
from tests.emulator.endpoints import CALL_CENTER, Endpoint
from tests.emulator.paging import PageOfRows, page_of_rows
from tests.emulator.store import Entry, Query, RecordSet

_CACHED_PAGES = 1024


class Answers:
    """Writes answers, and keeps the pages asked for lately."""

    def __init__(self, behaviour: Behaviour, *, pretty: bool) -> None:
        self._behaviour = behaviour
        self._pretty = pretty
        self._request_id_member = '{\n    "reqId": "%s",' if pretty else '{"reqId":"%s",'
        self._page = lru_cache(maxsize=_CACHED_PAGES)(self._written_page)

    def page(
        self,
        endpoint: Endpoint,
        request_id: str,
        records: RecordSet,
        query: Query,
        *,
        omitted: int = 0,
        extra_rows: int = 0,
        total: int | None = None,
    ) -> bytes:
        """Return a page of a query, without its last `omitted` records.

        `total` takes the place of the true DID total, and `extra_rows` adds to it.
        """
        rest = self._page(endpoint, records, records.version, query, omitted, extra_rows, total)
        return self._opening(endpoint, request_id) + rest

    def total(self, records: RecordSet, query: Query) -> int:
        """Return the DID total of a query."""
        return page_of_rows(records, query, self._behaviour).total

    def envelope(self, endpoint: Endpoint, request_id: str, code: int, message: str, data: Any) -> bytes:
        """Return a whole answer around any `data`."""
        return self._opening(endpoint, request_id) + self._rest(endpoint, code, message, data)

    def value(self, value: Any) -> bytes:
        """Return any JSON value as a body of its own."""
        return self._encode(value)

    def _written_page(
        self,
        endpoint: Endpoint,
        records: RecordSet,
        _version: int,  # a change of the records makes another page
        query: Query,
        omitted: int,
        extra_rows: int,
        total: int | None,
    ) -> bytes:
        page = page_of_rows(records, query, self._behaviour)
        items = [self._record(entry) for entry in page.entries[: max(len(page.entries) - omitted, 0)]]
        rows = (page.total if total is None else total) + extra_rows
        data = items if endpoint is CALL_CENTER else _did_data(items, page, rows)
        return self._rest(endpoint, 0, endpoint.success_message, data)

    def _record(self, entry: Entry) -> Any:
        return decode(entry.text) if self._pretty else Verbatim(entry.text.decode())

    def _opening(self, endpoint: Endpoint, request_id: str) -> bytes:
        """Return the start of an answer, which differs each time, while the rest may be kept."""
        if not endpoint.has_request_id:
            return b"{"
        return (self._request_id_member % request_id).encode()

    def _rest(self, endpoint: Endpoint, code: int, message: str, data: Any) -> bytes:
        if endpoint is CALL_CENTER:
            answer = {"code": code, "msg": message, "data": data}
        else:
            answer = {"code": code, "data": data, "message": message}
        return self._encode(answer)[1:]

    def _encode(self, value: Any) -> bytes:
        return encode(value, pretty=self._pretty).encode()


def _did_data(items: list[Any], page: PageOfRows, total: int) -> dict[str, Any]:
    return {
        "totalRow": total,
        "pageNumber": page.number,
        "totalPage": -(-total // page.size),
        "pageSize": page.size,
        "list": items,
    }
