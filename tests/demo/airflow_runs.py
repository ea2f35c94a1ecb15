"""
Runs the daily example DAGs in Airflow, each for the day that ends at a moment; one line of JSON a run.

A task that fails is a line of its own, at once: Airflow tries it again after minutes, for which the demo does not wait.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import IO, Any

Result = dict[str, Any]


def main(end: str, *dag_ids: str) -> None:
    """Run the DAGs in AIRFLOW_HOME, whose database is made where there is none."""
    output = _own_standard_output()

    def tell(result: Result) -> None:
        print(json.dumps(result), file=output, flush=True)

    _make_database(Path(os.environ["AIRFLOW_HOME"]))
    for dag_id in dag_ids:
        tell(_run(dag_id, datetime.fromisoformat(end), tell))


def _own_standard_output() -> IO[str]:
    """Keep standard output for the results; what Airflow writes to it goes to standard error."""
    results = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return results


def _make_database(home: Path) -> None:
    ready = home / "ready"
    if ready.exists():
        return
    shutil.rmtree(home, ignore_errors=True)  # what an interrupted demo left
    home.mkdir(parents=True)
    from airflow.utils.db import initdb

    initdb()
    ready.touch()


def _run(dag_id: str, end: datetime, tell: Callable[[Result], None]) -> Result:
    from airflow.dag_processing.dagbag import DagBag

    folder = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    dag: Any = DagBag(folder / f"{dag_id}.py").dags[dag_id]

    def tell_failure(context: Any) -> None:
        task, error = context["task_instance"].task_id, context["exception"]
        tell({"dag_id": dag_id, "state": "failed", "error": f"{task}: {type(error).__name__}: {error}"})

    for task in dag.tasks:
        task.on_failure_callback = task.on_retry_callback = [tell_failure]
    run = dag.test(logical_date=end)
    results = {task.task_id: task.xcom_pull(task.task_id) for task in run.get_task_instances()}
    return {"dag_id": dag_id, "state": run.state, **results}


if __name__ == "__main__":
    main(*sys.argv[1:])
