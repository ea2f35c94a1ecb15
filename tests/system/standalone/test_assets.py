"""Asset events that carry the manifest, and the DAGs that they trigger."""

from __future__ import annotations

from typing import Any

import pytest

from tests.system.standalone.deployment import Deployment
from tests.system.standalone.test_runs import assert_failed_with_the_explanation, assert_fetched_the_day

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


def test_event_carries_the_manifest(airflow: Deployment) -> None:
    run = airflow.only_run("cron_data_interval")
    event = only_event(airflow, run)
    assert event["name"] == "system_call_center_cdr"
    assert event["extra"] == airflow.xcom(run)
    assert event["partition_key"] is None


def test_event_of_a_partitioned_run_has_its_partition_key(airflow: Deployment) -> None:
    run = airflow.only_run("cron_partition")
    event = only_event(airflow, run)
    assert event["extra"] == airflow.xcom(run)
    assert event["partition_key"] == run["partition_key"] == "2026-03-17T00:00:00"


def test_consumer_reads_the_manifest(airflow: Deployment) -> None:
    run = airflow.only_run("asset_consumer")
    assert (run["run_type"], run["state"]) == ("asset_triggered", "success")
    assert airflow.xcom(run, "read") == [airflow.xcom(airflow.only_run("cron_data_interval"))]


def test_asset_triggered_run_takes_the_interval_from_the_event(airflow: Deployment, truth: list[bytes]) -> None:
    assert_fetched_the_day(airflow, airflow.only_run("asset_triggered_parameters"), truth)


def test_asset_triggered_run_without_parameters_fails_with_the_explanation(airflow: Deployment) -> None:
    assert_failed_with_the_explanation(airflow, airflow.only_run("asset_triggered"), "it has no logical date either")


def only_event(airflow: Deployment, run: dict[str, Any]) -> dict[str, Any]:
    (event,) = airflow.events(run)
    return event
