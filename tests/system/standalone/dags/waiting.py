"""DAGs that wait until an interval's records have settled: on the triggerer, and without a worker."""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_nxcloud.operators.cdr import NXCloudCallCenterCdrOperator

ROOT = os.environ["NXCLOUD_OUTPUT_ROOT"]

for dag_id, deferrable in (("settle_on_the_triggerer", True), ("settle_without_a_worker", False)):
    with DAG(dag_id, schedule=None, params={"start": "", "end": ""}):
        NXCloudCallCenterCdrOperator(
            task_id="fetch",
            interval_start="{{ params.start }}",
            interval_end="{{ params.end }}",
            settle=timedelta(seconds=5),
            deferrable=deferrable,
            output_path=f"{ROOT}/{dag_id}",
            retries=2,
            retry_delay=timedelta(seconds=1),
        )
