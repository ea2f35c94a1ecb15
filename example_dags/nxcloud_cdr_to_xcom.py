"""
### One agent's calls, hourly

Fetches the incoming calls that one agent answered in the past hour, and hands them to the next task through XCom,
without any storage. For few records only: XCom is kept in Airflow's database, and the records are personal data.

Needs the Connection `nxcloud_default`, and the agent's account: `AGENT_NAME` in this file.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import dag, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_nxcloud.operators.cdr import NXCloudCallCenterCdrOperator

AGENT_NAME = "NX0001"


@dag(
    # Since Airflow 3, a cron string alone gives runs a point in time; this timetable gives them an hour.
    schedule=CronDataIntervalTimetable("0 * * * *", timezone="Asia/Shanghai"),
    start_date=pendulum.datetime(2026, 1, 1, tz="Asia/Shanghai"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    doc_md=__doc__,
    tags=["nxcloud", "cdr", "call center"],
)
def nxcloud_cdr_to_xcom() -> None:
    """Fetch, then sum up."""
    fetch = NXCloudCallCenterCdrOperator(
        task_id="fetch", direction="incoming", answered="answered", agent_name=AGENT_NAME
    )

    @task
    def summarize(records: Any) -> dict[str, Any]:
        """Sum up the agent's hour."""
        return {
            "calls": len(records),
            "talk_seconds": sum(record["callDuration"] or 0 for record in records),
            # Money is text in XCom, so that no digit changes on the way.
            "cost": str(sum(Decimal(record["totalCustomerPrice"] or 0) for record in records)),
        }

    summarize(fetch.output)


nxcloud_cdr_to_xcom()
