"""Airflow's REST API, as far as the test goes."""

from __future__ import annotations

from typing import Any

import requests

TIMEOUT_SECONDS = 30


class AirflowApi:
    """
    Calls version 2 of the API as an administrator.

    :param url: of the API server, which lets everybody in
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False

    def is_healthy(self) -> bool:
        """Return whether the scheduler and the DAG processor run too."""
        health = self._call("GET", "monitor/health")
        return all(health[name]["status"] == "healthy" for name in ("metadatabase", "scheduler", "dag_processor"))

    def log_in(self) -> None:
        """Get a token for the calls that follow."""
        answer = self._session.get(f"{self._url}/auth/token", timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def has_dag(self, dag_id: str) -> bool:
        """Return whether the DAG is known."""
        return any(dag["dag_id"] == dag_id for dag in self._call("GET", "dags")["dags"])

    def trigger(self, dag_id: str, **params: Any) -> str:
        """Start a run; return the path of its address."""
        run = self._call("POST", f"dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": params})
        return f"dags/{dag_id}/dagRuns/{run['dag_run_id']}"

    def state(self, run: str) -> str:
        """Return the state of a run."""
        return str(self._call("GET", run)["state"])

    def task_instances(self, run: str, task_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a mapped task of a run, as of now."""
        found = self._call("GET", f"{run}/taskInstances", params={"task_id": task_id, "limit": 100})
        return [instance for instance in found["task_instances"] if instance["map_index"] >= 0]

    def tries(self, run: str, task_id: str, map_index: int) -> list[dict[str, Any]]:
        """Return the tries of a mapped task instance, the first one first."""
        found = self._call("GET", f"{run}/taskInstances/{task_id}/{map_index}/tries")
        return sorted(found["task_instances"], key=lambda instance: int(instance["try_number"]))

    def returned(self, run: str, task_id: str) -> Any:
        """Return what a task that is not mapped has pushed."""
        path = f"{run}/taskInstances/{task_id}/xcomEntries/return_value"
        return self._call("GET", path, params={"deserialize": "true"})["value"]

    def _call(self, method: str, path: str, **options: Any) -> Any:
        answer = self._session.request(method, f"{self._url}/api/v2/{path}", timeout=TIMEOUT_SECONDS, **options)
        answer.raise_for_status()
        return answer.json()
