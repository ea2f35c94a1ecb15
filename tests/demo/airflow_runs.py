"""Runs the daily example DAGs in Airflow, each for the day that ends at a moment; one line of JSON a run."""

from __future__ import annotations

import json
import os
import shutil
import sys
from datetime import datetime
from pathlib import Path
from typing import IO, Any


def main(end: str, *dag_ids: str) -> None:
    """Run the DAGs in AIRFLOW_HOME, whose database is made where there is none."""
    results = _own_standard_output()
    _make_database(Path(os.environ["AIRFLOW_HOME"]))
    for dag_id in dag_ids:
        print(json.dumps(_run(dag_id, datetime.fromisoformat(end))), file=results, flush=True)


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


def _run(dag_id: str, end: datetime) -> dict[str, Any]:
    from airflow.dag_processing.dagbag import DagBag

    folder = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    dag: Any = DagBag(folder / f"{dag_id}.py").dags[dag_id]
    run = dag.test(logical_date=end)
    results = {task.task_id: task.xcom_pull(task.task_id) for task in run.get_task_instances()}
    return {"dag_id": dag_id, "state": run.state, **results}


if __name__ == "__main__":
    main(*sys.argv[1:])
