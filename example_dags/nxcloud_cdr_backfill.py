"""
### A month of call center call detail records, one mapped task a day

Splits a long interval into days, fetches them side by side on whatever workers there are, each into its own object and
retried on its own, then collects the objects' manifests. Trigger it with the first day and the day after the last one.

Needs the Connection `nxcloud_default`, and a storage location: `OUTPUT_ROOT` in this file.

NXCloud limits an account's requests. All tasks together ask for at most *tasks at once* x `requests_per_second` (an
extra of the Connection): give the tasks of an account, of all DAGs, a pool of their own with that many slots, for
instance `airflow pools set nxcloud 4 "NXCloud account"`, and set `POOL` in this file.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_nxcloud.interval import split_interval
from airflow_provider_nxcloud.operators.cdr import NXCloudCallCenterCdrOperator

# Any location that Airflow's ObjectStoragePath knows; "aws_default" is the Connection of the storage.
OUTPUT_ROOT = os.environ.get("NXCLOUD_OUTPUT_ROOT", "s3://aws_default@my-bucket/nxcloud")
POOL = "default_pool"


@dag(
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="Asia/Shanghai"),
    catchup=False,
    params={"start": "2026-03-01", "end": "2026-04-01"},
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    doc_md=__doc__,
    tags=["nxcloud", "cdr", "call center"],
)
def nxcloud_cdr_backfill() -> None:
    """Split, fetch, collect."""

    @task
    def split(params: Any = None) -> list[dict[str, str]]:
        """Return the days; of a fixed interval, `expand_kwargs(split_interval(...))` needs no task."""
        return split_interval(params["start"], params["end"], timedelta(days=1), timezone="Asia/Shanghai")

    fetch = NXCloudCallCenterCdrOperator.partial(
        task_id="fetch",
        output_path=f"{OUTPUT_ROOT}/call_center_cdr",
        compression="gzip",
        pool=POOL,
        max_active_tis_per_dagrun=4,
        map_index_template="{{ task.interval_start }}",  # in the UI, each task is named by its day
    ).expand_kwargs(split())

    @task
    def collect(manifests: Any) -> dict[str, Any]:
        """Add up what was written; each manifest has the path of its object."""
        written = list(manifests)
        return {
            "objects": [manifest["path"] for manifest in written],
            "records": sum(manifest["records"] for manifest in written),
            "bytes": sum(manifest["bytes"] for manifest in written),
        }

    collect(fetch.output)


nxcloud_cdr_backfill()
