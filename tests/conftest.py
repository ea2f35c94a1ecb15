"""Fixtures for all tests; Airflow gets a home of its own before anything imports it."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings

from tests.emulator import Emulator

if TYPE_CHECKING:
    from tests.dag_runs import DagRuns

_HOME = tempfile.TemporaryDirectory(prefix="nxcloud-tests-")
os.environ.update(
    AIRFLOW_HOME=_HOME.name,
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW__CORE__DAGS_FOLDER=str(Path(_HOME.name, "dags")),
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{_HOME.name}/airflow.db",
    AIRFLOW__LOGGING__LOGGING_LEVEL="INFO",
)

# A busy machine is no finding.
settings.register_profile("nxcloud", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("nxcloud")

#: The day that tests fetch, long over; its midnight is in the API's zone.
DAY = date(2026, 3, 17)
ZONE = ZoneInfo("Asia/Shanghai")
DAY_START = int(datetime(2026, 3, 17, tzinfo=ZONE).timestamp())
DAY_END = DAY_START + 86_400

#: The client's pause before it believes an empty answer, in tests.
PAUSE_SECONDS = 0.05


@pytest.fixture
def emulator(request: pytest.FixtureRequest) -> Iterator[Callable[..., Emulator]]:
    """Return a function that starts an emulator with the given options; all are stopped in the end."""
    started: list[Emulator] = []

    def start(**options: Any) -> Emulator:
        server = Emulator(**options)
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture(autouse=True)
def _short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the number and order of retries and pauses, not their length."""
    monkeypatch.setattr("airflow_provider_nxcloud.api.client.FIRST_BACKOFF_SECONDS", 0.002)
    monkeypatch.setattr("airflow_provider_nxcloud.api.client.LONGEST_BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr("airflow_provider_nxcloud.api.completeness.fetching.PAUSE_SECONDS", PAUSE_SECONDS)


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return a function that points an Airflow Connection at an emulator and returns its id."""

    def connect(server: Emulator, conn_id: str = "nxcloud_default", **extra: Any) -> str:
        fields = {
            "conn_type": "nxcloud",
            "host": server.url,
            "login": server.access_key,
            "password": server.access_secret,
            "extra": {"timeout": 5, **extra},
        }
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))
        return conn_id

    return connect


@pytest.fixture(scope="session")
def database() -> None:
    """Make Airflow's database."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def dag_runs(database: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], DagRuns]:
    """Return a function that returns what runs the DAG files of a folder."""
    from tests.dag_runs import DagRuns

    return lambda folder: DagRuns(folder, monkeypatch)


@pytest.fixture
def memory_store() -> Any:
    """Attach an object store that is not a local disk, under ``memory://``; returns its file system."""
    from fsspec.implementations.memory import MemoryFileSystem

    try:
        from airflow.sdk.io import attach
    except ImportError:  # Airflow 2
        from airflow.io.store import attach  # type: ignore[import-not-found, no-redef]

    store = MemoryFileSystem()
    attach("memory", fs=store)
    return store


def utc(*fields: int) -> datetime:
    """Return a moment in UTC."""
    return datetime(*fields, tzinfo=UTC)  # type: ignore[arg-type, misc]


def wait_until(condition: Callable[[], bool], *, seconds: float = 20.0) -> None:
    """Return as soon as a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(0.005)
