"""The layout: the same interval always maps to the same key, and different ones never share one."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_nxcloud.interval import Interval
from airflow_provider_nxcloud.storage.formats import OutputFormat
from airflow_provider_nxcloud.storage.layout import object_location
from tests.conftest import DAY_END, DAY_START, ZONE


def location(output_path: str = "s3://landing/cdr", **options: Any) -> str:
    return object_location(
        output_path,
        **{
            "kind": "did_cdr",
            "interval": Interval(DAY_START, DAY_END),
            "filters": {},
            "timezone": ZONE,
            "output": OutputFormat("jsonl", "gzip"),
            **options,
        },
    )


def test_the_partition_is_the_date_in_the_connections_zone() -> None:
    name = "did_cdr_20260316T160000Z_20260317T160000Z.jsonl.gz"
    assert location() == f"s3://landing/cdr/date=2026-03-17/{name}"
    assert location(timezone=ZoneInfo("UTC")) == f"s3://landing/cdr/date=2026-03-16/{name}"


@pytest.mark.parametrize("path", ["/landing/day.jsonl.gz", "s3://my_aws@landing/a/day.csv"])
def test_a_path_with_a_formats_suffix_is_the_object(path: str) -> None:
    assert location(path) == path


def test_the_connection_in_the_uri_stays() -> None:
    assert location("s3://my_aws@landing/cdr/").startswith("s3://my_aws@landing/cdr/date=")


def test_filters_have_keys_of_their_own_without_showing_themselves() -> None:
    filtered = location(filters={"didNumber": "12025550100"})
    assert filtered == location(filters={"didNumber": "12025550100"})
    assert len({filtered, location(), location(filters={"didNumber": "12025550101"})}) == 3
    assert "2025550" not in filtered
