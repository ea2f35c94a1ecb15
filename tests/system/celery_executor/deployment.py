"""Airflow with the CeleryExecutor and two workers, on loopback."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGQUIT

import psutil

from tests.demo.processes import REPOSITORY
from tests.system.celery_executor import worker_name
from tests.system.celery_executor.rest import AirflowApi
from tests.system.celery_executor.services import NXCloud, running_nxcloud, running_redis
from tests.system.databases import running_postgres
from tests.system.processes import LOOPBACK, clean_environment, free_ports, running, session_of, wait_for

COMMAND_SECONDS = 120
START_SECONDS = 120
WORKERS = ("worker-1", "worker-2")
#: Task processes of one worker.
WORKER_CONCURRENCY = 2
RECORDS_PER_DAY = 20_000
LATENCY_MS = 50

ACCESS_KEY = "system-access-key"
ACCESS_SECRET = "system-access-secret"

#: Found lost within seconds instead of minutes.
IMPATIENCE = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
}


@dataclass
class Deployment:
    """An Airflow that runs, and the NXCloud that it fetches from."""

    api: AirflowApi
    nxcloud: NXCloud
    landing: Path
    workers: dict[str, subprocess.Popen[bytes]]

    def lose(self, worker: str) -> None:
        """End a worker with all that it runs at once, as when its machine is lost."""
        wait_for(lambda: _killed(self.workers[worker]), f"{worker} is lost", seconds=COMMAND_SECONDS, pause=0)


def _killed(worker: subprocess.Popen[bytes]) -> bool:
    members = session_of(worker)  # its tasks have process groups of their own
    for member in members:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    return not members


@contextmanager
def running_deployment(folder: Path, dags: Path, pool: str, pool_slots: int) -> Iterator[Deployment]:
    """
    Run everything.

    :param folder: for logs and data
    :param dags: folder of the DAG files
    :param pool: name of a pool to make, as the example DAG describes it
    :param pool_slots: its slots
    """
    landing = folder / "landing"
    landing.mkdir()
    with ExitStack() as stack:
        nxcloud = stack.enter_context(
            running_nxcloud(
                folder,
                call_center_per_day=RECORDS_PER_DAY,
                latency_ms=LATENCY_MS,
                access_key=ACCESS_KEY,
                access_secret=ACCESS_SECRET,
            )
        )
        database = stack.enter_context(running_postgres(folder))
        broker = stack.enter_context(running_redis(folder))
        (port,) = free_ports(1)
        environment = _environment(folder / "airflow", dags, database, broker, port) | {
            "AIRFLOW_CONN_NXCLOUD_DEFAULT": _connection(nxcloud.url),
            "NXCLOUD_OUTPUT_ROOT": str(landing),
        }
        _run("db", "migrate", log=folder / "migrate.log", environment=environment)
        _run("pools", "set", pool, str(pool_slots), "NXCloud account", log=folder / "pool.log", environment=environment)
        for name in ("api-server", "scheduler", "dag-processor"):
            stack.enter_context(running(_airflow(name), log=folder / f"{name}.log", environment=environment))
        workers = {name: stack.enter_context(_running_worker(name, folder, environment)) for name in WORKERS}
        api = AirflowApi(f"http://{LOOPBACK}:{port}")
        wait_for(api.is_healthy, "Airflow is healthy", seconds=START_SECONDS)
        wait_for(lambda: _present(broker) == set(WORKERS), "The workers are there", seconds=START_SECONDS)
        api.log_in()
        yield Deployment(api, nxcloud, landing, workers)


def _running_worker(
    name: str, folder: Path, environment: dict[str, str]
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    return running(
        _airflow("celery", "worker", "--celery-hostname", name, "--skip-serve-logs"),
        log=folder / f"{name}.log",
        environment=environment | {worker_name.VARIABLE: name},
        stop_signal=SIGQUIT,  # does not wait for its tasks
    )


def _present(broker: str) -> set[str]:
    command = [sys.executable, "-m", "celery", "--quiet", "--broker", broker, "inspect", "ping", "--json"]
    answer = subprocess.run(command, timeout=COMMAND_SECONDS, capture_output=True)
    return {name.rpartition("@")[2] for name in json.loads(answer.stdout or "{}")}


def _airflow(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "airflow", *arguments]


def _run(*arguments: str, log: Path, environment: dict[str, str]) -> None:
    with running(_airflow(*arguments), log=log, environment=environment) as process:
        code = process.wait(COMMAND_SECONDS)
    assert code == 0, f"airflow {' '.join(arguments)} ended with {code}; see {log}"


def _connection(url: str) -> str:
    return json.dumps({"conn_type": "nxcloud", "host": url, "login": ACCESS_KEY, "password": ACCESS_SECRET})


def _environment(home: Path, dags: Path, database: str, broker: str, port: int) -> dict[str, str]:
    url = f"http://{LOOPBACK}:{port}"
    return clean_environment(
        PYTHONPATH=str(REPOSITORY),
        AIRFLOW_HOME=str(home),
        AIRFLOW__API__BASE_URL=url,
        AIRFLOW__API__HOST=LOOPBACK,
        AIRFLOW__API__PORT=str(port),
        AIRFLOW__API__SECRET_KEY=secrets.token_hex(),
        AIRFLOW__API__WORKERS="1",
        AIRFLOW__API_AUTH__JWT_SECRET=secrets.token_hex(),
        AIRFLOW__CELERY__BROKER_URL=broker,
        AIRFLOW__CELERY__WORKER_CONCURRENCY=str(WORKER_CONCURRENCY),
        AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION="False",
        AIRFLOW__CORE__DAGS_FOLDER=str(dags),
        AIRFLOW__CORE__EXECUTION_API_SERVER_URL=f"{url}/execution/",
        AIRFLOW__CORE__EXECUTOR="CeleryExecutor",
        AIRFLOW__CORE__HOSTNAME_CALLABLE=f"{worker_name.__name__}.worker_name",
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS="True",
        AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"postgresql+psycopg2://{database}",
        **IMPATIENCE,
    )
