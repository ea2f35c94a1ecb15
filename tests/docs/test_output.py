"""Every code block of the page on the output runs, and finds what the server holds."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from airflow_provider_nxcloud.operators.cdr import NXCloudCallCenterCdrOperator, NXCloudDidCdrOperator
from tests.conftest import DAY, DAY_START
from tests.demo.processes import REPOSITORY
from tests.docs.pages import Page
from tests.emulator import Emulator, generate_call_center_cdrs, generate_did_cdrs

PAGE = Page(REPOSITORY / "docs" / "output.md")
BLOCKS = PAGE.blocks

#: Days of different lengths, so that none can stand for another.
COUNTS = {DAY + timedelta(days=number): count for number, count in enumerate((310, 420, 175))}
DAY_SECONDS = 86_400
OPERATORS = {"call_center": NXCloudCallCenterCdrOperator, "did": NXCloudDidCdrOperator}
FORMATS = ("parquet", "csv", "jsonl")

Daily = list[tuple[date, int, Decimal]]
Start = Callable[..., Emulator]
Connect = Callable[[Emulator], str]


def blocks(language: str) -> list[Any]:
    """Return the page's blocks of a language, each named by a line of its own."""
    texts = [text for name, text in BLOCKS if name == language]
    return [pytest.param(text, id=f"{language}-{number}") for number, text in enumerate(texts, 1)]


@pytest.fixture
def server(emulator: Start, connection: Connect) -> Emulator:
    server = emulator(
        call_center=[record for day, count in COUNTS.items() for record in generate_call_center_cdrs(day, count)],
        did=[record for day, count in COUNTS.items() for record in generate_did_cdrs(day, count)],
    )
    connection(server)
    return server


@pytest.fixture
def landing(server: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Fetch each day in each format, both kinds under one root, and make it the folder to work in."""
    monkeypatch.chdir(tmp_path)
    for output_format in FORMATS:
        for kind in OPERATORS:
            for number in range(len(COUNTS)):
                fetch(kind, tmp_path / "landing" / output_format, output_format, DAY_START + number * DAY_SECONDS)
    return tmp_path / "landing"


def fetch(kind: str, root: Path, output_format: str, start: int, seconds: int = DAY_SECONDS) -> dict[str, Any]:
    manifest: Any = OPERATORS[kind](
        task_id="fetch",
        interval_start=start,
        interval_end=start + seconds,
        output_path=str(root),
        output_format=output_format,
    ).execute({})
    return dict(manifest)


def truth(server: Emulator) -> Daily:
    daily = []
    for number, (day, count) in enumerate(COUNTS.items()):
        start = DAY_START + number * DAY_SECONDS
        records = server.call_center_cdrs(start, start + DAY_SECONDS)
        assert len(records) == count
        daily.append((day, count, sum((Decimal(record["totalCustomerPrice"]) for record in records), Decimal())))
    return daily


def test_the_page_has_them_all() -> None:
    assert Counter(name for name, _ in BLOCKS) == {"text": 1, "json": 1, "sql": 5, "python": 7}


@pytest.mark.parametrize("query", blocks("sql"))
def test_queries(query: str, landing: Path, server: Emulator) -> None:
    found = duckdb.execute(query).fetchall()
    if "roughly" in query:
        assert found == [(day, count, pytest.approx(float(cost))) for day, count, cost in truth(server)]
    else:
        assert found == truth(server)


@pytest.mark.parametrize("program", blocks("python"))
def test_programs(program: str, landing: Path, server: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    exec(compile(program, PAGE.name, "exec"), names)  # noqa: S102
    if found := daily_of(names):
        assert found == truth(server)
    elif "FORMULA" in names:
        assert_safe_for_people(landing)
    elif "schema" in names:
        assert '\'{"0": "incoming"' in capsys.readouterr().out
    else:
        assert "NXCloudCallCenterCdrOperator" in names


def daily_of(names: Mapping[str, Any]) -> Daily | None:
    """Return what a program found of each day, in one of the forms that suit its library."""
    daily: Any = names.get("daily")
    calls, cost = names.get("calls"), names.get("cost")
    if hasattr(daily, "to_pylist"):
        return [(date.fromisoformat(str(row["date"])), *list(row.values())[1:]) for row in daily.to_pylist()]
    if daily is not None:
        return [tuple(row) for row in daily.itertuples()]
    if isinstance(calls, Counter) and cost is not None:
        return [(day, calls[day], cost[day]) for day in sorted(calls)]
    return None


def assert_safe_for_people(landing: Path) -> None:
    numbers = re.compile(r"-?[0-9]+(\.[0-9]+)?")
    guarded = 0
    for copy in landing.rglob("*_for_people.csv"):
        with copy.open(encoding="utf-8-sig", newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@")) and not numbers.fullmatch(cell)]
        guarded += sum(cell.startswith("'=") for cell in cells)
    assert guarded


def test_the_manifest_is_the_one_shown(server: Emulator, tmp_path: Path) -> None:
    (shown,) = (json.loads(text) for name, text in BLOCKS if name == "json")
    manifest = fetch("call_center", tmp_path, "parquet", DAY_START)
    assert list(shown) == list(manifest)
    assert {name: type(value) for name, value in shown.items()} == {name: type(v) for name, v in manifest.items()}


@pytest.mark.parametrize("kind", OPERATORS)
@pytest.mark.parametrize("output_format", FORMATS)
@pytest.mark.parametrize("hours", [6, 24])
def test_daily_counts_over_the_root(
    kind: str, output_format: str, hours: int, server: Emulator, tmp_path: Path
) -> None:
    seconds = hours * 3600
    for start in range(DAY_START, DAY_START + len(COUNTS) * DAY_SECONDS, seconds):
        fetch(kind, tmp_path, output_format, start, seconds)
    read = {"jsonl": "read_json", "csv": "read_csv", "parquet": "read_parquet"}[output_format]
    source = f"{read}('{tmp_path}/*/{kind}_cdr_*.{output_format}', hive_partitioning=true)"
    query = f"SELECT date, count(*) FROM {source} GROUP BY ALL ORDER BY date"  # noqa: S608
    assert duckdb.execute(query).fetchall() == list(COUNTS.items())
    assert len(list(tmp_path.glob("*/*"))) == len(COUNTS) * 24 // hours
