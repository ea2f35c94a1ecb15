"""DAGs that run when another has fetched."""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk import DAG, Asset, task

from airflow_provider_nxcloud.operators.cdr import NXCloudCallCenterCdrOperator

ROOT = os.environ["NXCLOUD_OUTPUT_ROOT"]
FETCHED = Asset("system_call_center_cdr")

with DAG("asset_triggered", schedule=[FETCHED]):
    NXCloudCallCenterCdrOperator(task_id="fetch", output_path=f"{ROOT}/asset_triggered", retries=2)

EVENT = "{{ (triggering_asset_events.values() | first | first).extra"
with DAG("asset_triggered_parameters", schedule=[FETCHED]):
    NXCloudCallCenterCdrOperator(
        task_id="fetch",
        interval_start=EVENT + ".interval_start }}",
        interval_end=EVENT + ".interval_end }}",
        output_path=f"{ROOT}/asset_triggered_parameters",
    )

with DAG("asset_consumer", schedule=[FETCHED]):

    @task
    def read(triggering_asset_events: Any = None) -> list[dict[str, Any]]:
        """Return the manifests of the events."""
        return [event.extra for event in triggering_asset_events[FETCHED]]

    read()
