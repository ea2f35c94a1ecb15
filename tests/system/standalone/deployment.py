"""An `airflow standalone` of the tests' own, and its REST API."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from signal import SIGINT
from typing import Any

import requests

from tests.system.processes import LOOPBACK, clean_environment, free_ports, running, wait_for

DAGS = Path(__file__).parent / "dags"
USER = "admin"
START_SECONDS = 300
RUN_SECONDS = 300
REQUEST_SECONDS = 30
COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")
ENDED = ("success", "failed")
AIRFLOW = Path(sys.executable).parent / "airflow"


@dataclass(frozen=True)
class Deployment:
    """An Airflow that runs, driven over its REST API."""

    url: str
    home: Path
    environment: dict[str, str]

    @cached_property
    def password(self) -> str:
        """Password of the user, as Airflow has made it up."""
        passwords = json.loads((self.home / "simple_auth_manager_passwords.json.generated").read_text())
        return str(passwords[USER])

    @cached_property
    def _session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        credentials = {"username": USER, "password": self.password}
        answer = session.post(f"{self.url}/auth/token", json=credentials, timeout=REQUEST_SECONDS)
        answer.raise_for_status()
        session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return session

    def call(self, method: str, path: str, body: dict[str, Any] | None = None, **query: Any) -> Any:
        """Make one call of API v2, and return its answer."""
        return _content(self._request(method, path, body, query))

    def _request(
        self, method: str, path: str, body: dict[str, Any] | None, query: dict[str, Any] | None = None
    ) -> requests.Response:
        url = f"{self.url}/api/v2/{path}"
        return self._session.request(method, url, json=body, params=query, timeout=REQUEST_SECONDS)

    def unpause_all(self) -> None:
        """Let the scheduler make runs, as soon as the DAGs of all files are known."""
        files = {path.name for path in DAGS.glob("*.py")}

        def known() -> bool:
            return files == {dag["relative_fileloc"] for dag in self.call("GET", "dags", limit=100)["dags"]}

        wait_for(known, f"the DAGs of {files}", seconds=START_SECONDS)
        self.call("PATCH", "dags", {"is_paused": False}, dag_id_pattern="%", limit=100)

    def trigger(self, dag_id: str, **body: Any) -> dict[str, Any]:
        """Trigger a run, by default without a logical date, and return it as soon as it has ended."""
        run = self.call("POST", f"dags/{dag_id}/dagRuns", {"logical_date": None} | body)
        return self.ended_run(dag_id, run["dag_run_id"])

    def backfill(self, dag_id: str, date: str) -> None:
        """Create a backfill of one date."""
        body = {"dag_id": dag_id, "from_date": date, "to_date": date}

        def created() -> bool:
            answer = self._request("POST", "backfills", body)
            return answer.status_code != requests.codes.unavailable and bool(_content(answer))

        wait_for(created, "a moment at which nobody else locks SQLite", seconds=RUN_SECONDS)

    def ended_run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Return a run as soon as it has ended."""

        def ended() -> dict[str, Any] | None:
            run: dict[str, Any] = self.call("GET", f"dags/{dag_id}/dagRuns/{run_id}")
            return run if run["state"] in ENDED else None

        return wait_for(ended, f"the end of {run_id} of {dag_id}", seconds=RUN_SECONDS)

    def only_run(self, dag_id: str) -> dict[str, Any]:
        """Return the one run that a DAG has without being triggered, as soon as it has ended."""
        (run,) = self.runs(dag_id, 1)
        return run

    def runs(self, dag_id: str, number: int) -> list[dict[str, Any]]:
        """Return the runs that a DAG has without being triggered, in order, as soon as all have ended."""

        def made() -> list[dict[str, Any]]:
            runs = self.call("GET", f"dags/{dag_id}/dagRuns", order_by="run_after")["dag_runs"]
            return runs if len(runs) >= number else []

        runs = wait_for(made, f"{number} runs of {dag_id}", seconds=RUN_SECONDS)
        return [self.ended_run(dag_id, run["dag_run_id"]) for run in runs]

    def task(self, run: dict[str, Any], task_id: str = "fetch") -> dict[str, Any]:
        """Return a run's task instance."""
        return dict(self.call("GET", f"{_path(run)}/taskInstances/{task_id}"))

    def log(self, run: dict[str, Any], task_id: str = "fetch", attempt: int = 1) -> list[dict[str, Any]]:
        """Return the entries of a task's log."""
        return list(self.call("GET", f"{_path(run)}/taskInstances/{task_id}/logs/{attempt}")["content"])

    def xcom(self, run: dict[str, Any], task_id: str = "fetch") -> Any:
        """Return what a task has returned."""
        path = f"{_path(run)}/taskInstances/{task_id}/xcomEntries/return_value"
        return self.call("GET", path, deserialize=True)["value"]

    def tasks(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        """Return a run's task instances."""
        return list(self.call("GET", f"{_path(run)}/taskInstances")["task_instances"])

    def events(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the asset events that a run has made."""
        events = self.call("GET", "assets/events", source_dag_id=run["dag_id"], source_run_id=run["dag_run_id"])
        return list(events["asset_events"])


def _content(answer: requests.Response) -> Any:
    assert answer.ok, f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text}"
    return answer.json()


def _path(run: dict[str, Any]) -> str:
    return f"dags/{run['dag_id']}/dagRuns/{run['dag_run_id']}"


@contextmanager
def running_deployment(home: Path, log: Path, **variables: str) -> Iterator[Deployment]:
    """
    Run `airflow standalone` with a new database until all its parts are well.

    :param home: an empty folder for it
    :param log: file for its output
    :param variables: further environment variables
    """
    api, worker_logs, trigger_logs = free_ports(3)
    url = f"http://{LOOPBACK}:{api}"
    environment = clean_environment(
        AIRFLOW_HOME=str(home),
        AIRFLOW__API__BASE_URL=url,
        AIRFLOW__API__HOST=LOOPBACK,
        AIRFLOW__API__PORT=str(api),
        AIRFLOW__API__WORKERS="1",
        AIRFLOW__CORE__DAGS_FOLDER=str(DAGS),
        AIRFLOW__CORE__EXECUTION_API_SERVER_URL=f"{url}/execution/",
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__CORE__PARALLELISM="4",
        AIRFLOW__CORE__TEST_CONNECTION="Enabled",
        AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT=str(trigger_logs),
        AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT=str(worker_logs),
        AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT="60",  # a busy machine is slow to answer the first tasks
        **variables,
    )
    with running([AIRFLOW, "standalone"], log=log, environment=environment, stop_signal=SIGINT) as process:
        wait_for(lambda: _healthy(url), f"Airflow, whose log is {log}", seconds=START_SECONDS, process=process)
        deployment = Deployment(url, home, environment)
        deployment.unpause_all()
        yield deployment


def _healthy(url: str) -> bool:
    health = requests.get(f"{url}/api/v2/monitor/health", timeout=REQUEST_SECONDS).json()
    return all(health[component]["status"] == "healthy" for component in COMPONENTS)
