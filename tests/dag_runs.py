"""Real runs of DAG files through Airflow's own machinery, in this process."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.utils.session import create_session
from sqlalchemy import event, select, tuple_
from sqlalchemy.orm import Session

Change = Callable[[Any, Session], None]


def load(file: Path) -> Any:
    """Let Airflow read a DAG file."""
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:  # Airflow 2
        from airflow.models.dagbag import DagBag  # type: ignore[no-redef]
    return DagBag(file)


class DagRuns:
    """Runs the DAGs of one folder."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        bundle = {
            "name": "nxcloud",
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": str(folder)},
        }
        monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))

    def run(self, dag_id: str, date: datetime | None, *, change: Change | None = None, **options: Any) -> Any:
        """
        Run the DAG of the file that has its name.

        :param date: logical date
        :param change: what is done to the run as Airflow makes it
        :param options: of ``dag.test``
        """
        bag = load(self.folder / f"{dag_id}.py")
        dag = bag.dags[dag_id]
        _register(bag)
        in_airflow_3 = "logical_date" in inspect.signature(dag.test).parameters
        name = "logical_date" if in_airflow_3 else "execution_date"
        with ExitStack() as stack:
            if change:
                stack.enter_context(_each_new_run(change))
            return dag.test(**{name: date}, **options)


def _register(bag: Any) -> None:
    """Let the database know DAGs and assets; from Airflow 3.1 on, ``dag.test`` does it."""
    if not hasattr(bag, "sync_to_db"):
        return
    if "bundle_name" not in inspect.signature(bag.sync_to_db).parameters:  # Airflow 2
        bag.sync_to_db()
        return
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    DagBundlesManager().sync_bundles_to_db()
    bag.sync_to_db("nxcloud", None)


def result(dag_run: Any, task_id: str) -> Any:
    """Return what a task of a run returned."""
    return dag_run.get_task_instance(task_id).xcom_pull(task_id)


def states(dag_run: Any) -> dict[str, str]:
    """Return each task's state, and the run's."""
    return {ti.task_id: str(ti.state) for ti in dag_run.get_task_instances()} | {"run": str(dag_run.state)}


def asset_events(*dag_runs: Any) -> list[Any]:
    """Return the asset events of runs, in Airflow 2 dataset events, with their assets."""
    with create_session() as session:
        events = _events_of(dag_runs, session)
        for each in events:
            getattr(each, "asset", None) or each.dataset  # loaded while there is a session
        session.expunge_all()
    return events


def triggered_by(*dag_runs: Any) -> Change:
    """Return the change that makes the runs' asset events what triggers a new run, as the scheduler does."""

    def change(run: Any, session: Session) -> None:
        name = "consumed_asset_events" if hasattr(run, "consumed_asset_events") else "consumed_dataset_events"
        with session.no_autoflush:
            getattr(run, name).extend(_events_of(dag_runs, session))

    return change


def _events_of(dag_runs: Sequence[Any], session: Session) -> list[Any]:
    try:
        from airflow.models.asset import AssetEvent
    except ImportError:  # Airflow 2
        from airflow.models.dataset import DatasetEvent as AssetEvent  # type: ignore[import-not-found, no-redef]
    runs = [(run.dag_id, run.run_id) for run in dag_runs]
    its_run = tuple_(AssetEvent.source_dag_id, AssetEvent.source_run_id)
    return list(session.scalars(select(AssetEvent).where(its_run.in_(runs)).order_by(AssetEvent.id)))


@contextmanager
def _each_new_run(change: Change) -> Iterator[None]:
    from airflow.models.dagrun import DagRun

    def before_flush(session: Session, *_: Any) -> None:
        for each in session.new:
            if isinstance(each, DagRun):
                change(each, session)

    event.listen(Session, "before_flush", before_flush)
    try:
        yield
    finally:
        event.remove(Session, "before_flush", before_flush)
