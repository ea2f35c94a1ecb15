"""What is fetched, and what came of it: the data that the benchmark's processes hand to each other."""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchmarks.nxcloud import KINDS, Kind

#: Requests under way at once, where there is more than one: the operators' default.
CONCURRENCY = 8


def grouped(number: int) -> str:
    """Return a number with a space between thousands."""
    return f"{number:,}".replace(",", " ")


class Case(msgspec.Struct, frozen=True):
    """Records of one kind: whole days, counted from the benchmark's first."""

    kind_name: str
    records: int

    @property
    def kind(self) -> Kind:
        """The endpoint."""
        return KINDS[self.kind_name]

    @property
    def pages(self) -> int:
        """Pages that hold the records."""
        return -(-self.records // self.kind.page_size)

    @property
    def title(self) -> str:
        """What the tables call it."""
        return f"{self.kind.title}, {grouped(self.records)} records"


class Job(msgspec.Struct, frozen=True):
    """One fetch: from where, what, and the folder to write to."""

    url: str
    kind_name: str
    start: int
    end: int
    pages: int
    output: str

    @property
    def kind(self) -> Kind:
        """The endpoint."""
        return KINDS[self.kind_name]

    @property
    def folder(self) -> Path:
        """The folder to write to."""
        return Path(self.output)


class Cost(msgspec.Struct, frozen=True):
    """What a contestant's process measured of itself: seconds, and bytes of memory."""

    seconds: float
    cpu_seconds: float
    rss_before: int
    rss_peak: int


class Run(msgspec.Struct, frozen=True):
    """One run of a contestant, as measured by itself and by the server."""

    contestant: str
    case: Case
    latency_ms: int
    cost: Cost
    requests: int
    max_in_flight: int
    faithful: bool


class Results(msgspec.Struct, frozen=True):
    """Everything that the report is made of."""

    date: str
    command: str
    machine: str
    versions: dict[str, str]
    server_pages_per_second: dict[str, float]
    runs: list[Run]
    memory: list[Run]
    small: Run
    import_seconds: dict[str, float]
    once: float
    never: float
    minutes: float
