"""This package's operators, with their default settings."""

from __future__ import annotations

from typing import Any

from airflow_provider_nxcloud.operators.base import NXCloudCdrOperator
from airflow_provider_nxcloud.operators.cdr import (
    NXCloudCallCenterCdrOperator,
    NXCloudDidCdrOperator,
)
from benchmarks.jobs import Job

_OPERATORS: dict[str, type[NXCloudCdrOperator]] = {
    "call_center": NXCloudCallCenterCdrOperator,
    "did": NXCloudDidCdrOperator,
}


def fetch_jsonl(job: Job) -> None:
    """Write JSON lines."""
    _fetch(job, "jsonl")


def fetch_csv(job: Job) -> None:
    """Write CSV."""
    _fetch(job, "csv")


def fetch_parquet(job: Job) -> None:
    """Write Parquet."""
    _fetch(job, "parquet")


def _fetch(job: Job, suffix: str) -> None:
    operator = _OPERATORS[job.kind_name](
        task_id="fetch",
        interval_start=job.start,
        interval_end=job.end,
        output_path=str(job.folder / f"records.{suffix}"),
    )
    context: Any = {}
    operator.execute(context)
