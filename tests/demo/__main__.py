"""Run the demo: `python -m tests.demo`."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import repeat
from pathlib import Path
from typing import IO, Any

from tests.demo.day import Day
from tests.demo.processes import (
    REPOSITORY,
    NotStartedError,
    Server,
    TimeIsUpError,
    ended_in_order,
    running,
    running_server,
)
from tests.demo.report import Report

FOLDER = REPOSITORY / ".work" / "demo"
LANDING = FOLDER / "landing"
LOG = FOLDER / "demo.log"
#: Each daily DAG, and what the stand-in server calls its records.
DAGS = {"nxcloud_call_center_cdr_daily": "call_center", "nxcloud_did_cdr_daily": "did"}
CALL_CENTER_PER_DAY = 12_000
DID_PER_DAY = 8_000
LATENCY_MS = 50
ACCESS_KEY = "demo-access-key"
ACCESS_SECRET = "demo-access-secret"
#: Less than the server's, so that Airflow never waits for a server that has gone.
LONGEST_AIRFLOW_SECONDS = 160


class NoResultError(Exception):
    """Airflow did not say what became of a DAG run."""


FAILURES = (NotStartedError, TimeIsUpError, NoResultError)


def main() -> int:
    """Run both DAGs for a day, and show what came of it; return the exit code."""
    started = time.monotonic()
    report = Report(REPOSITORY)
    shutil.rmtree(LANDING, ignore_errors=True)
    LANDING.mkdir(parents=True)
    with ended_in_order():
        try:
            with LOG.open("w") as log:
                succeeded = _run_dags(report, log)
        except KeyboardInterrupt as request:
            report.interrupted()
            return 128 + int(request.args[0])
        except FAILURES as error:
            report.broken_off(error, LOG)
            succeeded = False
    report.end(succeeded, time.monotonic() - started, LOG)
    return 0 if succeeded else 1


def _run_dags(report: Report, log: IO[str]) -> bool:
    """Run the DAGs until one fails; return whether none did."""
    day = Day.settled_at(datetime.now(UTC))
    with _server(log) as server:
        report.begin(day.start, server.url, LATENCY_MS, version("apache-airflow"))
        with _airflow(server, day.end, log) as results, report.waiting():
            held = {kind: server.records(kind, day.start.timestamp(), day.end.timestamp()) for kind in DAGS.values()}
            return all(report.run(result, held[DAGS[result["dag_id"]]]) for result in results)


def _server(log: IO[str]) -> AbstractContextManager[Server]:
    return running_server(
        log,
        call_center_per_day=CALL_CENTER_PER_DAY,
        did_per_day=DID_PER_DAY,
        latency_ms=LATENCY_MS,
        access_key=ACCESS_KEY,
        access_secret=ACCESS_SECRET,
    )


@contextmanager
def _airflow(server: Server, end: datetime, log: IO[str]) -> Iterator[Iterator[dict[str, Any]]]:
    """Run the DAGs in Airflow; give each run's result as soon as it is there."""
    home = FOLDER / f"airflow-{version('apache-airflow')}"
    environment = _environment(server.url, home)
    airflow = running(
        "tests.demo.airflow_runs",
        end.isoformat(),
        *DAGS,
        log=log,
        environment=environment,
        longest_seconds=LONGEST_AIRFLOW_SECONDS,
    )
    try:
        with airflow as output:
            yield map(_read, DAGS, repeat(output))
    except TimeIsUpError as error:
        raise NoResultError(f"Airflow gave no result within {LONGEST_AIRFLOW_SECONDS} seconds") from error


def _read(dag_id: str, output: IO[str]) -> dict[str, Any]:
    if not (line := output.readline()):
        raise NoResultError(f"Airflow ended without a result of {dag_id}")
    result: dict[str, Any] = json.loads(line)
    return result


def _environment(url: str, home: Path) -> dict[str, str]:
    """Return the environment of an Airflow that shares nothing with any other on this machine."""
    connection = {"conn_type": "nxcloud", "host": url, "login": ACCESS_KEY, "password": ACCESS_SECRET}
    return {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")} | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "example_dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_NXCLOUD_DEFAULT": json.dumps(connection),
        "NXCLOUD_OUTPUT_ROOT": str(LANDING),
        "no_proxy": "127.0.0.1",
    }


if __name__ == "__main__":
    sys.exit(main())
