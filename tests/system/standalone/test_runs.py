"""Every kind of run, made by the scheduler or over the REST API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.system.standalone.deployment import Deployment

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

DAY = "2026-03-17T00:00:00+08:00"
DAY_END = "2026-03-18T00:00:00+08:00"
AFTERNOON = "2026-03-18T15:00:00+08:00"
UTC_DAY = {"interval_start": "2026-03-16T16:00:00Z", "interval_end": "2026-03-17T16:00:00Z"}
EXPLANATION = ("This DAG run has no data interval", "CronDataIntervalTimetable", "lookback", "interval_start")

SCHEDULED = (
    "cron_string_lookback",
    "timedelta_lookback",
    "cron_data_interval",
    "delta_data_interval",
    "cron_trigger_lookback",
    "cron_partition",
)


@pytest.mark.parametrize("dag_id", SCHEDULED)
def test_scheduled_run(airflow: Deployment, truth: list[bytes], dag_id: str) -> None:
    run = airflow.only_run(dag_id)
    assert run["run_type"] == "scheduled"
    assert_fetched_the_day(airflow, run, truth)


def test_scheduled_run_with_an_interval_of_its_own(airflow: Deployment, truth: list[bytes]) -> None:
    before, run = airflow.runs("cron_trigger_interval", 2)
    assert_fetched_the_day(airflow, run, truth)
    assert airflow.tasks(before) == [], "Airflow leaves out what has its logical date before the start date"


@pytest.mark.parametrize("dag_id", ["cron_string", "timedelta"])
def test_scheduled_run_at_a_point_in_time_fails_with_the_explanation(airflow: Deployment, dag_id: str) -> None:
    run = airflow.only_run(dag_id)
    assert run["run_type"] == "scheduled"
    assert_failed_with_the_explanation(airflow, run, "it starts and ends at 2026-03-17 16:00:00+00:00")


@pytest.mark.parametrize(
    ("dag_id", "logical_date"),
    [
        ("manual_cron_string_lookback", DAY_END),
        ("manual_timedelta_lookback", DAY_END),
        ("manual_cron_data_interval", AFTERNOON),
        ("manual_cron_trigger_interval", DAY_END),
        ("manual_delta_data_interval", DAY_END),
        ("no_schedule_lookback", DAY_END),
    ],
)
def test_manual_run_with_a_logical_date(
    airflow: Deployment, truth: list[bytes], dag_id: str, logical_date: str
) -> None:
    assert_fetched_the_day(airflow, airflow.trigger(dag_id, logical_date=logical_date), truth)


def test_manual_run_of_a_partition(airflow: Deployment, truth: list[bytes]) -> None:
    run = airflow.trigger("manual_cron_partition", partition_key="2026-03-17T00:00:00")
    assert_fetched_the_day(airflow, run, truth)
    (event,) = airflow.events(run)
    assert event["partition_key"] == "2026-03-17T00:00:00"


def test_run_without_dates_takes_them_from_its_parameters(airflow: Deployment, truth: list[bytes]) -> None:
    run = airflow.trigger("parameters", conf={"start": "2026-03-17", "end": "2026-03-18"})
    assert run["logical_date"] is None
    assert_fetched_the_day(airflow, run, truth)


@pytest.mark.parametrize("dag_id", ["no_schedule", "no_schedule_lookback", "manual_cron_data_interval"])
def test_run_without_dates_or_parameters_fails_with_the_explanation(airflow: Deployment, dag_id: str) -> None:
    run = airflow.trigger(dag_id)
    assert_failed_with_the_explanation(airflow, run, "it has no logical date either")


@pytest.mark.parametrize(
    ("dag_id", "date"),
    [
        ("backfill_cron_string_lookback", DAY_END),
        ("backfill_timedelta_lookback", DAY_END),
        ("backfill_cron_data_interval", DAY),
        ("backfill_delta_data_interval", DAY),
        ("backfill_cron_trigger_interval", DAY_END),
        ("backfill_cron_partition", "2026-03-17T00:00:00Z"),
    ],
)
def test_backfill(airflow: Deployment, truth: list[bytes], dag_id: str, date: str) -> None:
    airflow.backfill(dag_id, date)
    run = airflow.only_run(dag_id)
    assert run["run_type"] == "backfill"
    assert_fetched_the_day(airflow, run, truth)


def assert_fetched_the_day(airflow: Deployment, run: dict[str, Any], truth: list[bytes]) -> None:
    assert run["state"] == "success", airflow.log(run)
    manifest = airflow.xcom(run)
    assert manifest.items() >= UTC_DAY.items()
    assert manifest["records"] == len(truth)
    assert sorted(Path(manifest["path"]).read_bytes().splitlines()) == truth


def assert_failed_with_the_explanation(airflow: Deployment, run: dict[str, Any], found: str) -> None:
    assert run["state"] == "failed"
    task = airflow.task(run)
    assert (task["state"], task["try_number"], task["max_tries"]) == ("failed", 1, 2)
    log = str(airflow.log(run))
    for part in (*EXPLANATION, found):
        assert part in log
