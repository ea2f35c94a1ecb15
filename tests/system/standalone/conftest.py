"""One NXCloud server and one Airflow for all tests of this folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

import pytest

from tests.conftest import DAY_END, DAY_START
from tests.demo.processes import Server, ended_in_order, running_server
from tests.system.processes import FOLDER
from tests.system.standalone.deployment import Deployment, running_deployment

HOME = FOLDER / "standalone"
LANDING = HOME / "landing"
ACCESS_KEY = "system-access-key"
ACCESS_SECRET = "system-access-secret"
CALL_CENTER_PER_DAY = 1_050
LONGEST_SECONDS = 1_800


@pytest.fixture(scope="session", autouse=True)
def _home() -> Iterator[None]:
    """A new home, and an end in order."""
    shutil.rmtree(HOME, ignore_errors=True)
    LANDING.mkdir(parents=True)
    with ended_in_order():
        yield


@pytest.fixture(scope="session")
def server(_home: None) -> Iterator[Server]:
    """Return a stand-in NXCloud server."""
    with (
        (HOME / "server.log").open("w") as log,
        running_server(
            log,
            longest_seconds=LONGEST_SECONDS,
            call_center_per_day=CALL_CENTER_PER_DAY,
            access_key=ACCESS_KEY,
            access_secret=ACCESS_SECRET,
        ) as running,
    ):
        yield running


@pytest.fixture(scope="session")
def airflow(server: Server) -> Iterator[Deployment]:
    """Return an `airflow standalone` whose Connection is to the server."""
    connection = {"conn_type": "nxcloud", "host": server.url, "login": ACCESS_KEY, "password": ACCESS_SECRET}
    with running_deployment(
        HOME / "airflow",
        HOME / "airflow.log",
        AIRFLOW_CONN_NXCLOUD_DEFAULT=json.dumps(connection),
        NXCLOUD_OUTPUT_ROOT=str(LANDING),
    ) as deployment:
        yield deployment


@pytest.fixture(scope="session")
def truth(server: Server) -> list[bytes]:
    """Return the day's records as the server holds them, in a fixed order."""
    records = sorted(server.records("call_center", DAY_START, DAY_END))
    assert len(records) == CALL_CENTER_PER_DAY
    return records
