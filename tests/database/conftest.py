"""The databases, and servers that stand on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from tests.database.databases import DATABASES, Database
from tests.database.loads import Load
from tests.database.server import SqlServer, serving
from tests.database.tables import Layout, filled_table
from tests.demo.processes import REPOSITORY, ended_in_order
from tests.emulator.encoding import encode
from tests.emulator.endpoints import Endpoint
from tests.emulator.records import Record

_LOGS = REPOSITORY / ".work" / "database"


@dataclass(frozen=True, slots=True)
class Case:
    """
    A back end, and the calls that it has taken.

    :param twice: records that the table holds two times each
    """

    database: str
    endpoint: Endpoint
    load: Load
    seed: int = 1
    layout: Layout = field(default_factory=Layout)
    twice: int = 0

    @property
    def ties_whole_seconds(self) -> bool:
        """Tell whether all calls of one second have one start time, to the database."""
        return self.load.whole_seconds or self.layout.call_center_starts == "seconds"

    def __str__(self) -> str:
        layout = "" if self.layout == Layout() else f"-{self.layout}"
        return f"{self.database}-{self.endpoint.name}-{self.load}{layout}-seed{self.seed}"


@dataclass(frozen=True, slots=True)
class BackEnd:
    """A server that runs, and the records that it holds, each once."""

    case: Case
    server: SqlServer
    records: list[Record]

    @property
    def lines(self) -> list[bytes]:
        """Return the records as lines of JSON, sorted."""
        return sorted(encode(record).encode() + b"\n" for record in self.records)


@pytest.fixture(scope="session")
def databases() -> Iterator[Mapping[str, Database]]:
    """Return the databases by name; their logs stay until the next time."""
    with ended_in_order(), ExitStack() as stack:
        yield {name: stack.enter_context(run(_LOGS)) for name, run in DATABASES.items()}


@pytest.fixture(scope="module")
def back_end(request: pytest.FixtureRequest, databases: Mapping[str, Database]) -> Iterator[BackEnd]:
    """Return the back end of a case, which is the fixture's parameter."""
    case: Case = request.param
    records = case.load.records(case.endpoint, case.seed)
    rows = records + records[: case.twice]
    with (
        filled_table(databases[case.database], case.endpoint, rows, layout=case.layout, seed=case.seed) as table,
        serving(table) as server,
    ):
        yield BackEnd(case, server, records)
