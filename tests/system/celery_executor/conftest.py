"""The deployment and the run that all tests look at."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.demo.processes import ended_in_order
from tests.system.celery_executor.backfill import POOL, POOL_SLOTS, Outcome, run_month, write_dag
from tests.system.celery_executor.deployment import Deployment, running_deployment
from tests.system.processes import FOLDER

HOME = FOLDER / "celery"


@pytest.fixture(scope="session")
def deployment() -> Iterator[Deployment]:
    """Run the deployment; its logs and data stay until the next time."""
    shutil.rmtree(HOME, ignore_errors=True)
    dags = HOME / "dags"
    dags.mkdir(parents=True)
    write_dag(dags)
    print(f"Logs and data are in {HOME}")
    with ended_in_order(), running_deployment(HOME, dags, POOL, POOL_SLOTS) as deployment:
        yield deployment


@pytest.fixture(scope="session")
def outcome(deployment: Deployment) -> Outcome:
    return run_month(deployment)
