"""A table of call detail records, and the statement that reads a page of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from random import Random
from typing import Any, Literal

from tests.database.databases import Connection, Database
from tests.emulator.encoding import encode
from tests.emulator.endpoints import CALL_CENTER, Endpoint
from tests.emulator.records import Record
from tests.emulator.store import Query

_TEXT = "VARCHAR(64)"
#: The record's fields that a query can ask for.
_FILTERS = {
    "call_center": {
        "agentName": _TEXT,
        "caller": _TEXT,
        "callee": _TEXT,
        "callId": _TEXT,
        "orderId": _TEXT,
        "answered": "BOOLEAN",
        "direction": "INTEGER",
    },
    "did": {"number": _TEXT, "callNumber": _TEXT, "callType": "INTEGER"},
}

Condition = tuple[str, Any]
Order = Literal["DESC", "ASC"]
Grain = Literal["milliseconds", "seconds"]
End = Literal["exclusive", "inclusive"]


@dataclass(frozen=True, slots=True)
class Layout:
    """How a back end keeps its records, and how it asks for them."""

    order: Order | None = "DESC"
    call_center_starts: Grain = "seconds"
    indexed: bool = False
    end: End = "exclusive"

    def __str__(self) -> str:
        parts = [self.order or "unordered", self.call_center_starts, "indexed" if self.indexed else "", self.end]
        return "-".join(part for part in parts if part)


class Table:
    """
    The records of one endpoint in a database.

    :param database: holds it; it has no other table of that endpoint
    :param endpoint: the kind of records
    :param layout: how they are kept
    """

    def __init__(self, database: Database, endpoint: Endpoint, layout: Layout) -> None:
        self.database = database
        self.endpoint = endpoint
        self._layout = layout
        self._name = f"{endpoint.name}_cdr"
        self._filters = _FILTERS[endpoint.name]

    def page(self, connection: Connection, query: Query) -> list[bytes]:
        """Return a page's records, each as its JSON text."""
        order = f"ORDER BY start_time {self._layout.order}" if self._layout.order else ""
        selection, values = self._selection(query)
        window = [query.size, (query.page - 1) * query.size]
        rows = _read(connection, ["SELECT body", selection, order, "LIMIT %s OFFSET %s"], [*values, *window])
        return [body for (body,) in rows]

    def count(self, connection: Connection, query: Query) -> int:
        """Return the number of records on all pages."""
        selection, values = self._selection(query)
        ((number,),) = _read(connection, ["SELECT COUNT(*)", selection], values)
        return int(number)

    def create(self, connection: Connection) -> None:
        """Make the table."""
        start = self.database.moment if self._starts_are_dates else "BIGINT"
        columns = {"serial_number": "SERIAL PRIMARY KEY", "start_time": start, "start_date": "DATE"}
        columns |= {**self._filters, "body": self.database.text}
        definitions = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        _run(connection, f"CREATE TABLE {self._name} ({definitions})")
        if self._layout.indexed:
            _run(connection, f"CREATE INDEX {self._name}_start ON {self._name} (start_time)")

    def drop(self, connection: Connection) -> None:
        """Remove the table."""
        _run(connection, f"DROP TABLE IF EXISTS {self._name}")

    def insert(self, connection: Connection, records: Sequence[Record]) -> None:
        """Add records, and let the database learn what it holds."""
        columns = ["start_time", "start_date", *self._filters, "body"]
        marks = ", ".join(["%s"] * len(columns))
        statement = " ".join(["INSERT INTO", self._name, f"({', '.join(columns)})", f"VALUES ({marks})"])
        connection.cursor().executemany(statement, [self._row(record) for record in records])
        _run(connection, f"{self.database.analyze} {self._name}")

    @property
    def _starts_are_dates(self) -> bool:
        return self.endpoint is not CALL_CENTER or self._layout.call_center_starts == "seconds"

    def _selection(self, query: Query) -> tuple[str, list[Any]]:
        conditions = [*self._interval(query), *((f"{field} =", value) for field, value in query.filters)]
        text = " AND ".join(f"{left} %s" for left, _ in conditions)
        return f"FROM {self._name} WHERE {text}", [value for _, value in conditions]

    def _interval(self, query: Query) -> list[Condition]:
        if self.endpoint is not CALL_CENTER:
            return [("start_date =", _wall_clock(query.start).date())]
        before = "<=" if self._layout.end == "inclusive" else "<"
        return [("start_time >=", self._start(query.start)), (f"start_time {before}", self._start(query.end))]

    def _start(self, milliseconds: int) -> int | datetime:
        return _wall_clock(milliseconds) if self._starts_are_dates else milliseconds

    def _row(self, record: Record) -> list[Any]:
        filters = [record.get(field) for field in self._filters]
        return [*self._moments(record["startTime"]), *filters, encode(record).encode()]

    def _moments(self, start: int | str) -> tuple[int | datetime, date]:
        if isinstance(start, int):
            return self._start(start), _wall_clock(start).date()
        moment = datetime.fromisoformat(start)
        return moment, moment.date()


@contextmanager
def filled_table(
    database: Database, endpoint: Endpoint, records: Sequence[Record], *, layout: Layout, seed: int
) -> Iterator[Table]:
    """Give a table that holds records, put in by an order that a seed gives."""
    table = Table(database, endpoint, layout)
    with closing(database.connect()) as connection:
        table.drop(connection)
        table.create(connection)
        table.insert(connection, Random(seed).sample(records, len(records)))
        connection.commit()
    yield table


def _wall_clock(milliseconds: int) -> datetime:
    """Return a time as a column of whole seconds keeps it."""
    return datetime.fromtimestamp(milliseconds // 1000, UTC).replace(tzinfo=None)


def _run(connection: Connection, statement: str) -> None:
    connection.cursor().execute(statement)


def _read(connection: Connection, parts: Sequence[str], values: Sequence[Any]) -> Sequence[Sequence[Any]]:
    cursor = connection.cursor()
    cursor.execute(" ".join(parts), values)
    return cursor.fetchall()
