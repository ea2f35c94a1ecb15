"""A month of records is complete, although a worker is lost in the middle."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_nxcloud.api.defaults import MAX_CONCURRENCY
from tests.system.celery_executor.backfill import DAYS, MONTH, POOL_SLOTS, Outcome
from tests.system.celery_executor.deployment import RECORDS_PER_DAY, WORKERS, Deployment

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

FIRST_DAY = datetime.fromisoformat(MONTH[0]).replace(tzinfo=ZoneInfo("Asia/Shanghai"))


def test_every_day_succeeds_in_the_end(outcome: Outcome) -> None:
    assert [tries[-1]["state"] for tries in outcome.tries] == ["success"] * DAYS


def test_both_workers_took_part(outcome: Outcome) -> None:
    assert {each["hostname"] for tries in outcome.tries for each in tries if each["state"] == "success"} == {*WORKERS}


def test_each_task_of_the_lost_worker_ran_again_on_the_other_one(outcome: Outcome) -> None:
    assert outcome.interrupted
    for index in outcome.interrupted:
        *lost, last = outcome.tries[index]
        assert [each["hostname"] for each in lost] == [outcome.lost]
        assert last["hostname"] != outcome.lost


def test_the_manifests_are_collected(outcome: Outcome, deployment: Deployment) -> None:
    objects = [Path(path) for path in outcome.collected["objects"]]
    assert sorted(objects) == sorted(path for path in deployment.landing.rglob("*") if path.is_file())
    assert outcome.collected["records"] == DAYS * RECORDS_PER_DAY
    assert outcome.collected["bytes"] == sum(path.stat().st_size for path in objects)


def test_the_objects_hold_every_record_once(outcome: Outcome, deployment: Deployment) -> None:
    keys: set[str] = set()
    for path, (start, end) in zip(outcome.collected["objects"], days(), strict=True):
        lines = gzip.decompress(Path(path).read_bytes()).splitlines()
        assert sorted(lines) == sorted(deployment.nxcloud.records("call_center", start, end))
        keys.update(json.loads(line)["callId"] for line in lines)
    assert len(keys) == DAYS * RECORDS_PER_DAY


def test_the_pool_bounds_the_requests_in_flight(outcome: Outcome) -> None:
    assert MAX_CONCURRENCY < outcome.most_in_flight <= POOL_SLOTS * MAX_CONCURRENCY


def days() -> Iterator[tuple[float, float]]:
    for day in range(DAYS):
        start = FIRST_DAY + timedelta(days=day)
        yield start.timestamp(), (start + timedelta(days=1)).timestamp()
