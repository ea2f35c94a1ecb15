"""The example DAG of a backfill, run while a worker is lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.demo.processes import REPOSITORY
from tests.system.celery_executor.deployment import Deployment
from tests.system.processes import wait_for

DAG_ID = "nxcloud_cdr_backfill"
MONTH = ("2026-03-01", "2026-04-01")
DAYS = 31
POOL = "nxcloud"
#: One task less than the workers have room for, so that it is the pool that holds the tasks back.
POOL_SLOTS = 3

FINISHED_BEFORE = 6
SLOW_SECONDS = 2
UNDER_WAY = timedelta(seconds=10)
STEP_SECONDS = 180
RUN_SECONDS = 480

#: What a user sets in the file, and a delay that the test has the time for.
EDITS = {'POOL = "default_pool"': f'POOL = "{POOL}"', "timedelta(minutes=5)": "timedelta(seconds=5)"}


@dataclass
class Outcome:
    """How the month went."""

    #: Name of the worker that was lost.
    lost: str
    #: Map indexes of the tasks that were under way on it.
    interrupted: list[int]
    #: The tries of each mapped task, the first one first.
    tries: list[list[dict[str, Any]]]
    #: What the last task returned.
    collected: dict[str, Any]
    most_in_flight: int


def write_dag(folder: Path) -> None:
    """Copy the example, and set in it what it tells its user to."""
    text = (REPOSITORY / "example_dags" / f"{DAG_ID}.py").read_text()
    for before, after in EDITS.items():
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    (folder / f"{DAG_ID}.py").write_text(text)


def run_month(deployment: Deployment) -> Outcome:
    """Run the DAG, and lose a worker in the middle."""
    api = deployment.api
    wait_for(lambda: api.has_dag(DAG_ID), "The DAG is known", seconds=STEP_SECONDS)
    start, end = MONTH
    run = api.trigger(DAG_ID, start=start, end=end)
    wait_for(lambda: _in_state(deployment, run, "success")[FINISHED_BEFORE:], "Some tasks end", seconds=STEP_SECONDS)
    lost, interrupted = _lose_worker(deployment, run)
    wait_for(lambda: api.state(run) in ("success", "failed"), "The run ends", seconds=RUN_SECONDS, pause=1)
    assert api.state(run) == "success"
    return Outcome(
        lost=lost,
        interrupted=interrupted,
        tries=[api.tries(run, "fetch", index) for index in range(DAYS)],
        collected=api.returned(run, "collect"),
        most_in_flight=deployment.nxcloud.most_in_flight(),
    )


def _lose_worker(deployment: Deployment, run: str) -> tuple[str, list[int]]:
    """Lose the worker that has more to do, while the server is too slow for any of its tasks to end before."""
    slow_from = datetime.now(UTC)
    deployment.nxcloud.slow_down(SLOW_SECONDS)
    running = wait_for(lambda: _under_way(deployment, run, slow_from), "Tasks are under way", seconds=STEP_SECONDS)
    ((worker, _),) = Counter(instance["hostname"] for instance in running).most_common(1)
    deployment.lose(worker)
    deployment.nxcloud.recover()
    return worker, [instance["map_index"] for instance in running if instance["hostname"] == worker]


def _under_way(deployment: Deployment, run: str, since: datetime) -> list[dict[str, Any]]:
    """Return the tasks that have run for a while, all of it since a moment, once they fill the pool."""
    latest = datetime.now(UTC) - UNDER_WAY
    found = [
        instance
        for instance in _in_state(deployment, run, "running")
        if since < datetime.fromisoformat(instance["start_date"]) < latest
    ]
    return found if len(found) == POOL_SLOTS else []


def _in_state(deployment: Deployment, run: str, state: str) -> list[dict[str, Any]]:
    return [instance for instance in deployment.api.task_instances(run, "fetch") if instance["state"] == state]
