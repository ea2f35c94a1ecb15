"""
### What to do with new call detail records

Runs when `nxcloud_call_center_cdr_daily` has written records, whatever the hour: it is scheduled on that DAG's asset.
The event that triggers it carries the manifest of the written object, so that exactly this object is read: no
date, path or Connection of the storage stands in this file.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import Asset, ObjectStoragePath, dag, task


@dag(
    schedule=[Asset("nxcloud_call_center_cdr")],
    start_date=pendulum.datetime(2026, 1, 1, tz="Asia/Shanghai"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    doc_md=__doc__,
    tags=["nxcloud", "cdr", "call center"],
)
def nxcloud_cdr_consumer() -> None:
    """Find out which objects are new, then read each."""

    @task
    def new_objects(triggering_asset_events: Any = None, triggering_dataset_events: Any = None) -> list[dict[str, Any]]:
        """Return the manifest of each object once, the latest: Airflow may join several events into one run."""
        by_asset = triggering_asset_events or triggering_dataset_events or {}  # the latter is Airflow 2's name for it
        events = sorted((event for events in by_asset.values() for event in events), key=lambda event: event.timestamp)
        manifests = (event.extra for event in events)
        return list({manifest["path"]: manifest for manifest in manifests if "path" in manifest}.values())

    @task
    def talk_time(manifest: dict[str, Any]) -> dict[str, Any]:
        """Add up an object's talk time by agent, line by line."""
        agents: Counter[str] = Counter()
        calls = 0
        with ObjectStoragePath(manifest["path"]).open("rb") as file, gzip.open(file) as lines:
            for line in lines:
                record = json.loads(line)
                agents[record.get("agentName") or "none"] += record.get("callDuration") or 0
                calls += 1
        if calls != manifest["records"]:
            raise ValueError(f"{manifest['path']} is no longer the object of the event: it has {calls} records")
        return {"path": manifest["path"], "calls": calls, "talk_seconds": dict(agents.most_common())}

    talk_time.expand(manifest=new_objects())


nxcloud_cdr_consumer()
