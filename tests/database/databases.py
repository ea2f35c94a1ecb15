"""Where the databases differ, to one who uses them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from tests.system.databases import running_mariadb, running_postgres

# MariaDB sorts long rows by their number, too, where start times are equal: a record is to be as short as a row of the
# columns that it would have in a table of its own.
_SHORT = "VARBINARY(800)"


class Cursor(Protocol):
    """What is used of a DB-API 2.0 cursor."""

    def execute(self, statement: str, values: Sequence[Any] = ...) -> Any: ...
    def executemany(self, statement: str, rows: Sequence[Sequence[Any]]) -> Any: ...
    def fetchall(self) -> Sequence[Sequence[Any]]: ...


class Connection(Protocol):
    """What is used of a DB-API 2.0 connection."""

    def cursor(self) -> Cursor: ...
    def commit(self) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Database:
    """A database that runs."""

    connect: Callable[[], Connection]
    moment: str  # the type of a column for dates with a time
    text: str  # the type of a column for a record's bytes
    analyze: str


@contextmanager
def mariadb(folder: Path) -> Iterator[Database]:
    """Run MariaDB, with its log in a folder."""
    import pymysql

    with running_mariadb(folder) as socket:
        connect = partial(pymysql.connect, unix_socket=str(socket), user="root", charset="utf8mb4")
        with closing(connect()) as connection:
            connection.cursor().execute("CREATE DATABASE nxcloud")
        yield Database(partial(connect, database="nxcloud"), "DATETIME", _SHORT, "ANALYZE TABLE")


@contextmanager
def postgresql(folder: Path) -> Iterator[Database]:
    """Run PostgreSQL, with its log in a folder."""
    import psycopg

    with running_postgres(folder) as address:
        yield Database(partial(psycopg.connect, f"postgresql://{address}"), "TIMESTAMP", "BYTEA", "ANALYZE")


DATABASES = {"mariadb": mariadb, "postgresql": postgresql}
