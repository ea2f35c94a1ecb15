"""
### DID call detail records, daily

Brings the past day's DID call detail records from NXCloud to object storage, then sums them up by country: calls,
answer rate, talk time and cost.

Needs the Connection `nxcloud_default`, and a storage location: `OUTPUT_ROOT` in this file.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import Asset, ObjectStoragePath, dag, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_nxcloud.operators.cdr import NXCloudDidCdrOperator

# Any location that Airflow's ObjectStoragePath knows; "aws_default" is the Connection of the storage.
OUTPUT_ROOT = os.environ.get("NXCLOUD_OUTPUT_ROOT", "s3://aws_default@my-bucket/nxcloud")


@dataclass
class Total:
    """What a group of calls adds up to."""

    calls: int = 0
    answered: int = 0
    talk_seconds: int = 0
    cost: Decimal = Decimal(0)

    def add(self, record: dict[str, Any]) -> None:
        """Count one record in."""
        talk_seconds = record.get("callDuration") or 0
        self.calls += 1
        self.answered += talk_seconds > 0  # a DID record has no other sign of an answer
        self.talk_seconds += talk_seconds
        self.cost += record.get("callPrice") or 0


@dag(
    # Since Airflow 3, a cron string alone gives runs a point in time; this timetable gives them a day. It is
    # a day in the time zone of NXCloud, which serves DID records by its own calendar date: one date, one query.
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="Asia/Shanghai"),
    start_date=pendulum.datetime(2026, 1, 1, tz="Asia/Shanghai"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    doc_md=__doc__,
    tags=["nxcloud", "cdr", "did"],
)
def nxcloud_did_cdr_daily() -> None:
    """Fetch, then sum up."""
    fetch = NXCloudDidCdrOperator(
        task_id="fetch",
        output_path=f"{OUTPUT_ROOT}/did_cdr",
        compression="gzip",
        # Calls that are still under way at midnight are not listed yet. The triggerer waits, not a worker.
        settle=timedelta(hours=1),
        deferrable=True,
        outlets=[Asset("nxcloud_did_cdr")],  # for DAGs that are to run on new records: schedule=[Asset(...)]
    )

    @task
    def summarize(manifest: Any) -> dict[str, Any]:
        """Sum up the day by country, line by line: memory does not grow with the day."""
        records = ObjectStoragePath(manifest["path"])
        day = Total()
        countries: defaultdict[str, Total] = defaultdict(Total)
        with records.open("rb") as file, gzip.open(file) as lines:
            for line in lines:
                record = json.loads(line, parse_float=Decimal)  # a float would not hold the cost exactly
                country = record.get("countryName") or "unknown"
                for total in (day, countries[country]):
                    total.add(record)

        text = io.StringIO()
        table = csv.writer(text)
        table.writerow(["country", "calls", "answered", "answer_rate", "talk_seconds", "cost"])
        for country, total in sorted(countries.items()):
            rate = f"{total.answered / total.calls:.4f}"
            table.writerow([country, total.calls, total.answered, rate, total.talk_seconds, f"{total.cost:f}"])

        # Beside the dataset, not in it: what reads the partitions is to find records only.
        summary = ObjectStoragePath(OUTPUT_ROOT) / "summary" / records.parent.name / "did_cdr_by_country.csv"
        summary.parent.mkdir(parents=True, exist_ok=True)
        summary.write_text(text.getvalue(), encoding="utf-8")
        return {"path": str(summary), "calls": day.calls, "answered": day.answered, "cost": f"{day.cost:f}"}

    summarize(fetch.output)


nxcloud_did_cdr_daily()
