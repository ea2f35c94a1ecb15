"""Both operators, each for the DAG run's day, from the installed package and nothing else."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from sysconfig import get_path

import pendulum
from airflow.providers.common.compat.sdk import dag
from airflow.timetables.interval import CronDataIntervalTimetable

import airflow_provider_nxcloud
from airflow_provider_nxcloud.operators.cdr import NXCloudCallCenterCdrOperator, NXCloudDidCdrOperator

PACKAGE = Path(airflow_provider_nxcloud.__file__)
if not PACKAGE.is_relative_to(get_path("purelib")):
    raise RuntimeError(f"{PACKAGE} is not the installed package")
if find_spec("tests") or os.environ["NXCLOUD_REPOSITORY"] in sys.path:
    raise RuntimeError(f"the repository can be imported from: {sys.path}")


@dag(
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="Asia/Shanghai"),
    start_date=pendulum.datetime(2026, 1, 1, tz="Asia/Shanghai"),
    catchup=False,
)
def nxcloud_smoke() -> None:
    """Fetch both kinds."""
    output_path = os.environ["NXCLOUD_OUTPUT_ROOT"]
    NXCloudCallCenterCdrOperator(task_id="call_center", output_path=f"{output_path}/call_center")
    NXCloudDidCdrOperator(task_id="did", output_path=f"{output_path}/did")


nxcloud_smoke()
