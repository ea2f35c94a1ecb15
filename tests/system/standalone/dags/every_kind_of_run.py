"""A DAG for each kind of run; all of them mean the same calendar day in Asia/Shanghai."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import DAG, Asset
from airflow.timetables.interval import CronDataIntervalTimetable, DeltaDataIntervalTimetable
from airflow.timetables.trigger import CronPartitionTimetable, CronTriggerTimetable

from airflow_provider_nxcloud.operators.cdr import NXCloudCallCenterCdrOperator

ROOT = os.environ["NXCLOUD_OUTPUT_ROOT"]
ZONE = "Asia/Shanghai"
MIDNIGHT = "0 0 * * *"
DAY = pendulum.datetime(2026, 3, 17, tz=ZONE)
DAY_END = DAY.add(days=1)
ONE_DAY = timedelta(days=1)
RETRIES = {"retries": 2, "retry_delay": timedelta(seconds=1)}


def dag_of(
    dag_id: str,
    schedule: Any,
    only: pendulum.DateTime | None = None,
    *,
    last: pendulum.DateTime | None = None,
    **parameters: Any,
) -> None:
    """
    Make a DAG that fetches call center records.

    :param only: the moment that the scheduler makes a run for; without one, only others make runs
    :param last: the last one, where the scheduler makes more than one
    :param parameters: the operator's, and ``params`` of the DAG
    """
    with DAG(
        dag_id,
        schedule=schedule,
        start_date=only or DAY,
        end_date=last or only or DAY_END.add(days=1),  # a task has no run with a later logical date
        catchup=only is not None,
        params=parameters.pop("params", None),
        default_args=RETRIES,
    ):
        NXCloudCallCenterCdrOperator(task_id="fetch", output_path=f"{ROOT}/{dag_id}", **parameters)


# Made by the scheduler
dag_of("cron_string", "@daily", DAY_END)
dag_of("cron_string_lookback", "@daily", DAY_END, lookback=ONE_DAY)
dag_of("timedelta", ONE_DAY, DAY_END)
dag_of("timedelta_lookback", ONE_DAY, DAY_END, lookback=ONE_DAY)
dag_of(
    "cron_data_interval",
    CronDataIntervalTimetable(MIDNIGHT, timezone=ZONE),
    DAY,
    outlets=[Asset("system_call_center_cdr")],
)
dag_of("delta_data_interval", DeltaDataIntervalTimetable(ONE_DAY), DAY)
dag_of("cron_trigger_lookback", CronTriggerTimetable(MIDNIGHT, timezone=ZONE), DAY_END, lookback=ONE_DAY)
dag_of("cron_trigger_interval", CronTriggerTimetable(MIDNIGHT, timezone=ZONE, interval=ONE_DAY), DAY, last=DAY_END)
dag_of(
    "cron_partition",
    CronPartitionTimetable(MIDNIGHT, timezone=ZONE, run_offset=-1),
    DAY_END,
    outlets=[Asset("system_partitioned_cdr")],
)

# Made over the REST API
dag_of(
    "parameters",
    None,
    params={"start": "", "end": ""},
    interval_start="{{ params.start }}",
    interval_end="{{ params.end }}",
)
dag_of("no_schedule", None)
dag_of("no_schedule_lookback", None, lookback=ONE_DAY)
for prefix in ("manual", "backfill"):
    dag_of(f"{prefix}_cron_string_lookback", "@daily", lookback=ONE_DAY)
    dag_of(f"{prefix}_timedelta_lookback", ONE_DAY, lookback=ONE_DAY)
    dag_of(f"{prefix}_delta_data_interval", DeltaDataIntervalTimetable(ONE_DAY))
    dag_of(f"{prefix}_cron_data_interval", CronDataIntervalTimetable(MIDNIGHT, timezone=ZONE))
    dag_of(f"{prefix}_cron_trigger_interval", CronTriggerTimetable(MIDNIGHT, timezone=ZONE, interval=ONE_DAY))
    dag_of(
        f"{prefix}_cron_partition",
        CronPartitionTimetable(MIDNIGHT, timezone=ZONE),
        outlets=[Asset("system_partitioned_cdr")],
    )
