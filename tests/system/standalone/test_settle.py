"""Waiting until records have settled, on a real scheduler and triggerer."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.demo.processes import Server
from tests.system.processes import wait_for
from tests.system.standalone.deployment import ENDED, RUN_SECONDS, Deployment

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

SETTLE_SECONDS = 5  # as in dags/waiting.py
LEAD_SECONDS = 15  # enough for the task to begin before the interval has ended
LENGTH_SECONDS = 6 * 3600


@pytest.mark.parametrize(
    ("dag_id", "waits_as"),
    [("settle_on_the_triggerer", "deferred"), ("settle_without_a_worker", "up_for_reschedule")],
)
def test_waits_without_a_worker_until_the_records_have_settled(
    airflow: Deployment, server: Server, dag_id: str, waits_as: str
) -> None:
    end = int(time.time()) + LEAD_SECONDS
    start = end - LENGTH_SECONDS
    run = airflow.call(
        "POST", f"dags/{dag_id}/dagRuns", {"logical_date": None, "conf": {"start": str(start), "end": str(end)}}
    )
    assert waits_as in _states_until_the_end(airflow, run)

    assert airflow.task(run)["state"] == "success", airflow.log(run)
    assert airflow.task(run)["try_number"] == 1
    log = airflow.log(run)
    settled = datetime.fromtimestamp(end + SETTLE_SECONDS, UTC)
    assert f"Waiting until {settled.isoformat()}" in str(log)
    assert _moment_of("Fetching the records", log) >= settled
    manifest = airflow.xcom(run)
    assert sorted(Path(manifest["path"]).read_bytes().splitlines()) == sorted(server.records("call_center", start, end))


def _states_until_the_end(airflow: Deployment, run: dict[str, Any]) -> list[str]:
    states: list[str] = []

    def ended() -> bool:
        states.append(airflow.task(run)["state"])
        return states[-1] in ENDED

    wait_for(ended, f"the end of the task of {run['dag_id']}", seconds=RUN_SECONDS)
    return states


def _moment_of(event: str, log: list[dict[str, Any]]) -> datetime:
    (moment,) = [entry["timestamp"] for entry in log if entry["event"].startswith(event)]
    return datetime.fromisoformat(moment)
