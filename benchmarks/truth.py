"""Whether a contestant's records are those that the server holds."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b
from types import MappingProxyType
from typing import NamedTuple

from benchmarks.jobs import Job
from benchmarks.server import Server

DAY = 86_400


class Multiset(NamedTuple):
    """What tells two multisets apart, whatever the order of their members."""

    members: int
    digest: int


def multiset(members: Iterable[bytes]) -> Multiset:
    """Digest a multiset in constant memory."""
    count = total = 0
    for member in members:
        count += 1
        total += int.from_bytes(blake2b(member, digest_size=16).digest())
    return Multiset(count, total % 2**128)


class Truth(NamedTuple):
    """The records that a job has to bring, and their keys."""

    records: Multiset
    keys: Multiset


def truth_of(server: Server, job: Job) -> Truth:
    """Ask the server, day by day, for what it holds."""

    def records() -> Iterator[bytes]:
        for start in range(job.start, job.end, DAY):
            yield from server.records(job.kind_name, start, min(start + DAY, job.end))

    return Truth(multiset(records()), multiset(_key(json.loads(record)[job.kind.key]) for record in records()))


def is_faithful(contestant: str, job: Job, truth: Truth) -> bool:
    """
    Compare what a contestant left in the job's folder with the truth.

    Our JSON lines have to be the very bytes that were served; of the others, the keys are compared.
    """
    if contestant == "jsonl":
        with (job.folder / "records.jsonl").open("rb") as file:
            return multiset(line.removesuffix(b"\n") for line in file) == truth.records
    return multiset(map(_key, _KEYS[contestant](job))) == truth.keys


def _key(value: object) -> bytes:
    return str(value).encode()


def _csv_keys(job: Job) -> Iterator[object]:
    with (job.folder / "records.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield row[job.kind.key]


def _parquet_keys(job: Job) -> Iterator[object]:
    import pyarrow.parquet

    yield from pyarrow.parquet.read_table(job.folder / "records.parquet", columns=[job.kind.key])[0].to_pylist()


def _json_lines_keys(job: Job) -> Iterator[object]:
    with (job.folder / "records.jsonl").open() as file:
        for line in file:
            yield json.loads(line)[job.kind.key]


def _json_keys(job: Job) -> Iterator[object]:
    with (job.folder / "records.json").open() as file:
        for record in json.load(file):
            yield record[job.kind.key]


def _dlt_keys(job: Job) -> Iterator[object]:
    column = {"callId": "call_id", "id": "id"}[job.kind.key]
    for path in (job.folder / "dlt" / "cdr" / "records").glob("*.jsonl.gz"):
        with gzip.open(path, "rt") as file:
            for line in file:
                yield json.loads(line)[column]


_KEYS: Mapping[str, Callable[[Job], Iterator[object]]] = MappingProxyType(
    {
        "csv": _csv_keys,
        "parquet": _parquet_keys,
        "http_operator": _json_lines_keys,
        "loop": _json_keys,
        "dlt": _dlt_keys,
    }
)
