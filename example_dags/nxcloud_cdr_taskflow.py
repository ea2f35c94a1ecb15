"""
### Call detail records in `@task` functions

Two ways: the hook's iterator inside a task, which holds a few pages of records at a time, however long the day is;
and an operator's output as a task's argument, for few records only: XCom is kept in Airflow's database, and the records
are personal data.

Needs the Connection `nxcloud_default`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import dag, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_nxcloud.hooks.nxcloud import NXCloudHook
from airflow_provider_nxcloud.operators.cdr import NXCloudCallCenterCdrOperator


@dag(
    # Since Airflow 3, a cron string alone gives runs a point in time; this timetable gives them a day.
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="Asia/Shanghai"),
    start_date=pendulum.datetime(2026, 1, 1, tz="Asia/Shanghai"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    doc_md=__doc__,
    tags=["nxcloud", "cdr", "call center", "did"],
)
def nxcloud_cdr_taskflow() -> None:
    """Both ways, side by side."""

    @task(multiple_outputs=False)  # one XCom, not one for each country
    def cost_by_country(data_interval_start: Any = None, data_interval_end: Any = None) -> dict[str, str]:
        """Add up the day's DID calls, with the hook."""
        costs: defaultdict[str, Decimal] = defaultdict(Decimal)
        for record in NXCloudHook().iter_did_cdrs(data_interval_start, data_interval_end):
            costs[record.get("countryName") or "unknown"] += record.get("callPrice") or 0
        return {country: str(cost) for country, cost in sorted(costs.items())}

    @task(multiple_outputs=False)
    def missed_by_hour(records: Any) -> dict[str, int]:
        """Count the day's missed calls, from the operator's output."""
        zone = pendulum.timezone("Asia/Shanghai")
        hours = Counter(pendulum.from_timestamp(record["startTime"] / 1000, zone).hour for record in records)
        return {f"{hour:02d}:00": calls for hour, calls in sorted(hours.items())}

    cost_by_country()
    missed = NXCloudCallCenterCdrOperator(task_id="missed", direction="incoming", answered="unanswered")
    missed_by_hour(missed.output)


nxcloud_cdr_taskflow()
