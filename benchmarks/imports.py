"""Measure what a DAG file that uses the operators costs to import: ``python -m benchmarks.imports``."""

from __future__ import annotations

import os
import subprocess
import sys
from statistics import median
from tempfile import TemporaryDirectory

REPETITIONS = 21
#: No process takes longer.
LONGEST_SECONDS = 60

_DAG = """
import time
start = time.process_time()
import pendulum
from airflow.providers.common.compat.sdk import DAG
{imports}
with DAG("measured", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC")):
    {tasks}
print(time.process_time() - start)
"""
EMPTY_DAG = "EmptyOperator"
OUR_DAG = "both operators"
DAGS = {
    EMPTY_DAG: _DAG.format(
        imports="from airflow.providers.standard.operators.empty import EmptyOperator",
        tasks='EmptyOperator(task_id="one"); EmptyOperator(task_id="two")',
    ),
    OUR_DAG: _DAG.format(
        imports=(
            "from airflow_provider_nxcloud.operators.cdr import NXCloudCallCenterCdrOperator, NXCloudDidCdrOperator"
        ),
        tasks='NXCloudCallCenterCdrOperator(task_id="one"); NXCloudDidCdrOperator(task_id="two")',
    ),
}


def import_times(repetitions: int = REPETITIONS) -> dict[str, float]:
    """
    Return each DAG file's median processor time, in seconds, in new processes, in turn.

    An import waits for nothing; processor time leaves out what else the machine is doing.
    """
    times: dict[str, list[float]] = {name: [] for name in DAGS}
    with TemporaryDirectory(prefix="nxcloud-imports-") as home:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
        environment |= {"AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        for repetition in range(repetitions + 1):
            for name, text in DAGS.items():
                seconds = _seconds(text, environment)
                if repetition:  # the first one writes byte code and configuration
                    times[name].append(seconds)
    return {name: median(each) for name, each in times.items()}


def _seconds(text: str, environment: dict[str, str]) -> float:
    command = [sys.executable, "-c", text]
    ended = subprocess.run(  # noqa: S603
        command, env=environment, capture_output=True, text=True, timeout=LONGEST_SECONDS, check=True
    )
    return float(ended.stdout.splitlines()[-1])


def main() -> None:
    """Print the medians, and their difference."""
    times = import_times()
    for name, seconds in times.items():
        print(f"{name:16}{seconds * 1000:8.0f} ms")
    print(f"{'difference':16}{(times[OUR_DAG] - times[EMPTY_DAG]) * 1000:8.0f} ms")


if __name__ == "__main__":
    main()
