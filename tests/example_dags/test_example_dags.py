"""The example DAGs run, unchanged, through Airflow's own machinery against the emulator."""

from __future__ import annotations

import csv
import gzip
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import DAY, DAY_END, DAY_START, ZONE
from tests.dag_runs import DagRuns, asset_events, load, result, states, triggered_by
from tests.emulator import Emulator, Fault

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
EXAMPLE_DAGS = Path(__file__).parents[2] / "example_dags"
FILES = sorted(EXAMPLE_DAGS.glob("*.py"))
DAY_AFTER = datetime.fromtimestamp(DAY_END, ZONE)

Record = dict[str, Any]
Totals = dict[str, dict[str, Any]]
Start = Callable[..., Emulator]
Run = Callable[..., Any]


@pytest.fixture
def start(emulator: Start, connection: Callable[[Emulator], str]) -> Start:
    """Return a function that starts an emulator, with the default Connection pointing at it."""

    def start(**options: Any) -> Emulator:
        server = emulator(**options)
        connection(server)
        return server

    return start


@pytest.fixture
def airflow_log(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Return a function that returns what Airflow logged in this test."""

    def log() -> str:
        text = _COLOUR.sub("", "".join((*capfd.readouterr(), caplog.text)))
        # In Airflow 3.0, dag.test() shows all that its task sends to its stand-in for the supervisor.
        return "".join(line for line in text.splitlines(keepends=True) if "[debug    ]" not in line)

    return log


@pytest.fixture
def run(dag_runs: Callable[[Path], DagRuns], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs an example DAG for the interval that ends at a moment."""
    monkeypatch.setenv("NXCLOUD_OUTPUT_ROOT", str(tmp_path))
    return dag_runs(EXAMPLE_DAGS).run


def totals(records: Iterable[Record], group: Callable[[Record], str], answered: Callable[[Record], bool]) -> Totals:
    """Return what the calls of each group add up to, cost as an exact fraction."""
    groups: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[group(record)].append(record)
    return {
        name: {
            "calls": len(members),
            "answered": sum(map(answered, members)),
            "talk_seconds": sum(member["callDuration"] for member in members),
            "cost": money(members, "callPrice" if "callPrice" in members[0] else "totalCustomerPrice"),
        }
        for name, members in groups.items()
    }


def money(records: Iterable[Record], field: str) -> Fraction:
    """Return an exact sum."""
    return sum((Fraction(record[field]) for record in records), Fraction())


def assert_summary(summary: dict[str, Any], expected: Totals) -> None:
    """Compare the summary, file and XCom, with what was added up from the emulator's records."""
    with Path(summary["path"]).open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header[1:] == ["calls", "answered", "answer_rate", "talk_seconds", "cost"]
    assert [name for name, *_ in rows] == sorted(expected)
    for name, calls, answered, answer_rate, talk_seconds, cost in rows:
        total = expected[name]
        assert (int(calls), int(answered), int(talk_seconds)) == (
            total["calls"],
            total["answered"],
            total["talk_seconds"],
        )
        assert float(answer_rate) == pytest.approx(total["answered"] / total["calls"], abs=0.00005)
        assert_same_money(cost, total["cost"])
    assert summary["calls"] == sum(total["calls"] for total in expected.values())
    assert summary["answered"] == sum(total["answered"] for total in expected.values())
    assert_same_money(summary["cost"], sum((total["cost"] for total in expected.values()), Fraction()))


def assert_same_money(text: str, exact: Fraction) -> None:
    """Compare as many digits as a Decimal sum holds; a float sum would hold 16."""
    assert abs(Fraction(text) - exact) <= exact / 10**25


def assert_no_number(log: str, records: Iterable[Record], *fields: str) -> None:
    """See that Airflow's log holds no phone number."""
    assert "Fetched" in log
    assert not [number for record in records for field in fields if (number := record[field]) in log]


def assert_records(path: Path, server: Emulator, endpoint: str, records: list[Record]) -> None:
    """Compare an object with the emulator's records, byte for byte."""
    lines = gzip.decompress(path.read_bytes()).splitlines()
    assert sorted(lines) == sorted(server.json_of(endpoint, record) for record in records)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_file_is_one_documented_dag(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NXCLOUD_OUTPUT_ROOT", raising=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bag = load(file)
    assert bag.import_errors == {}
    assert not [warning for warning in caught if "nxcloud" in warning.filename]
    assert list(bag.dags) == [file.stem]
    dag = bag.dags[file.stem]
    assert "nxcloud" in dag.tags
    assert dag.doc_md.strip()
    assert not dag.catchup
    assert all(task.retries for task in dag.tasks)


def test_did_cdr_daily(start: Start, run: Run, tmp_path: Path, airflow_log: Callable[[], str]) -> None:
    server = start(did_per_day=2500)
    records = server.did_cdrs(DAY_START, DAY_END)
    dag_run = run("nxcloud_did_cdr_daily", DAY_AFTER)

    assert states(dag_run) == {"fetch": "success", "summarize": "success", "run": "success"}
    manifest, summary = result(dag_run, "fetch"), result(dag_run, "summarize")
    assert manifest["path"] == f"{tmp_path}/did_cdr/date={DAY}/did_cdr_20260316T160000Z_20260317T160000Z.jsonl.gz"
    assert manifest["records"] == len(records) == 2500
    assert_records(Path(manifest["path"]), server, "did", records)
    assert summary["path"] == f"{tmp_path}/summary/date={DAY}/did_cdr_by_country.csv"
    groups = totals(records, lambda record: record["countryName"], lambda record: record["callDuration"] > 0)
    assert_summary(summary, groups)
    assert_no_number(airflow_log(), records, "number", "callNumber")


def test_call_center_cdr_daily(start: Start, run: Run, tmp_path: Path, airflow_log: Callable[[], str]) -> None:
    server = start(call_center_per_day=2500)
    records = server.call_center_cdrs(DAY_START, DAY_END)
    dag_run = run("nxcloud_call_center_cdr_daily", DAY_AFTER)

    assert states(dag_run) == {"fetch": "success", "summarize": "success", "run": "success"}
    manifest, summary = result(dag_run, "fetch"), result(dag_run, "summarize")
    name = "call_center_cdr_20260316T160000Z_20260317T160000Z.jsonl.gz"
    assert manifest["path"] == f"{tmp_path}/call_center_cdr/date={DAY}/{name}"
    assert manifest["records"] == len(records) == 2500
    assert_records(Path(manifest["path"]), server, "call_center", records)
    assert summary["path"] == f"{tmp_path}/summary/date={DAY}/call_center_cdr_by_direction.csv"
    names = ("incoming", "outgoing", "AICC")
    groups = totals(records, lambda record: names[record["direction"]], lambda record: record["answered"])
    assert_summary(summary, groups)
    assert_no_number(airflow_log(), records, "caller", "callee")


def test_cdr_to_xcom(start: Start, run: Run, airflow_log: Callable[[], str]) -> None:
    server = start(call_center_per_day=20_000)
    hour_start = DAY_START + 10 * 3600
    records = [
        record
        for record in server.call_center_cdrs(hour_start, hour_start + 3600)
        if record["agentName"] == "NX0001" and record["answered"] and record["direction"] == 0
    ]
    dag_run = run("nxcloud_cdr_to_xcom", datetime.fromtimestamp(hour_start + 3600, ZONE))

    assert states(dag_run) == {"fetch": "success", "summarize": "success", "run": "success"}
    fetched, summary = result(dag_run, "fetch"), result(dag_run, "summarize")
    assert len(records) > 5
    assert sorted(record["callId"] for record in fetched) == sorted(record["callId"] for record in records)
    assert summary["calls"] == len(records)
    assert summary["talk_seconds"] == sum(record["callDuration"] for record in records)
    assert_same_money(summary["cost"], money(records, "totalCustomerPrice"))
    assert_no_number(airflow_log(), records, "caller", "callee")


def test_cdr_backfill(start: Start, run: Run, airflow_log: Callable[[], str]) -> None:
    server = start(call_center_per_day=150)
    days = [DAY + timedelta(days=number) for number in range(4)]
    dag_run = run("nxcloud_cdr_backfill", DAY_AFTER, run_conf={"start": str(days[0]), "end": str(days[-1])})

    assert set(states(dag_run).values()) == {"success"}
    records = server.call_center_cdrs(DAY_START, DAY_START + 3 * 86_400)
    collected = result(dag_run, "collect")
    assert [f"date={day}" for day in days[:-1]] == [Path(path).parent.name for path in collected["objects"]]
    assert collected["records"] == len(records) == 450
    lines = [line for path in collected["objects"] for line in gzip.decompress(Path(path).read_bytes()).splitlines()]
    assert sorted(lines) == sorted(server.json_of("call_center", record) for record in records)
    assert_no_number(airflow_log(), records, "caller", "callee")
    mapped = [ti for ti in dag_run.get_task_instances() if ti.task_id == "fetch"]
    assert sorted(ti.rendered_map_index for ti in mapped) == [f"{day}T00:00:00+08:00" for day in days[:-1]]


def test_cdr_taskflow(start: Start, run: Run, airflow_log: Callable[[], str]) -> None:
    server = start(call_center_per_day=600, did_per_day=600)
    dag_run = run("nxcloud_cdr_taskflow", DAY_AFTER)

    assert set(states(dag_run).values()) == {"success"}
    did = server.did_cdrs(DAY_START, DAY_END)
    costs = result(dag_run, "cost_by_country")
    assert list(costs) == sorted({record["countryName"] for record in did})
    assert_same_money(str(sum(map(Decimal, costs.values()))), money(did, "callPrice"))
    missed = [
        record
        for record in server.call_center_cdrs(DAY_START, DAY_END)
        if record["direction"] == 0 and not record["answered"]
    ]
    hours = Counter(f"{datetime.fromtimestamp(record['startTime'] / 1000, ZONE):%H}:00" for record in missed)
    assert result(dag_run, "missed_by_hour") == hours
    assert_no_number(airflow_log(), missed, "caller", "callee")


@pytest.mark.parametrize("kind", ["did", "call_center"])
def test_day_without_calls(start: Start, run: Run, kind: str) -> None:
    start()
    dag_run = run(f"nxcloud_{kind}_cdr_daily", DAY_AFTER)

    assert states(dag_run)["run"] == "success"
    summary = result(dag_run, "summarize")
    assert (summary["calls"], summary["answered"], summary["cost"]) == (0, 0, "0")
    assert len(Path(summary["path"]).read_text().splitlines()) == 1


@pytest.mark.parametrize("kind", ["did", "call_center"])
def test_new_records_are_an_asset_event(start: Start, run: Run, kind: str) -> None:
    start(did_per_day=20, call_center_per_day=20)
    dag_run = run(f"nxcloud_{kind}_cdr_daily", DAY_AFTER)

    *_, event = asset_events(dag_run)  # in Airflow 2, runs of one interval have one id
    asset = event.asset if hasattr(event, "asset") else event.dataset  # Airflow 2
    assert asset.uri == f"nxcloud_{kind}_cdr"
    assert event.extra == result(dag_run, "fetch")


def test_cdr_consumer_reads_the_objects_of_the_events(start: Start, run: Run, airflow_log: Callable[[], str]) -> None:
    server = start(call_center_per_day=300)
    first, second = DAY_AFTER + timedelta(days=1), DAY_AFTER + timedelta(days=2)
    days = [run("nxcloud_call_center_cdr_daily", end) for end in (first, second, first)]  # a rerun, of the same object
    dag_run = run("nxcloud_cdr_consumer", second, change=triggered_by(*days))

    assert set(states(dag_run).values()) == {"success"}
    written = [event.extra["path"] for event in asset_events(*days)]
    tasks = [each for each in dag_run.get_task_instances() if each.task_id == "talk_time"]
    found = [each.xcom_pull("talk_time", map_indexes=number) for number, each in enumerate(tasks)]
    assert written[2] == written[0]
    assert [each["path"] for each in found] == written[:2]
    for number, each in enumerate(found, start=1):
        records = server.call_center_cdrs(DAY_START + number * 86_400, DAY_END + number * 86_400)
        agents: Counter[str] = Counter()
        for record in records:
            agents[record["agentName"] or "none"] += record["callDuration"]
        assert (each["calls"], each["talk_seconds"]) == (len(records), agents)
    assert_no_number(airflow_log(), records, "caller", "callee")


def test_cdr_consumer_without_an_event_has_nothing_to_do(run: Run) -> None:
    dag_run = run("nxcloud_cdr_consumer", DAY_AFTER)
    assert states(dag_run) == {"new_objects": "success", "talk_time": "skipped", "run": "success"}


def test_failure_says_what_to_do(start: Start, run: Run, tmp_path: Path, airflow_log: Callable[[], str]) -> None:
    server = start(did_per_day=20)
    server.add_fault(Fault("error_code", code=1005, message="No permission", times=None))
    dag_run = run("nxcloud_did_cdr_daily", DAY_AFTER)

    assert states(dag_run) == {"fetch": "failed", "summarize": "upstream_failed", "run": "failed"}
    assert len(server.requests) <= 2, "a retry cannot help"
    log = airflow_log()
    assert "AirflowFailException: NXCloud says 'No permission' (endpoint did_cdr, code 1005)" in log
    assert "Check the Connection's login (accessKey)" in log
    assert server.access_key not in log
    assert server.access_secret not in log
    assert list(tmp_path.rglob("*.jsonl.gz")) == []
