"""OpenLineage: the endpoint as input, the object as output, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_nxcloud.operators.cdr import NXCloudDidCdrOperator
from tests.conftest import DAY, DAY_END, DAY_START
from tests.emulator import Emulator, generate_did_cdrs

pytest.importorskip("airflow.providers.openlineage", reason="apache-airflow-providers-openlineage is not installed")


def fetched(server: Emulator, **options: Any) -> NXCloudDidCdrOperator:
    task = NXCloudDidCdrOperator(task_id="fetch", interval_start=DAY_START, interval_end=DAY_END, **options)
    task.execute({})
    return task


@pytest.fixture
def server(emulator: Callable[..., Emulator], connection: Callable[..., str]) -> Emulator:
    server = emulator(did=generate_did_cdrs(DAY, 5))
    connection(server)
    return server


def test_both_datasets(server: Emulator, tmp_path: Path) -> None:
    task = fetched(server, output_path=str(tmp_path / "day.csv"))
    lineage = task.get_openlineage_facets_on_complete(None)
    (source,), (target,) = lineage.inputs, lineage.outputs
    assert (source.namespace, source.name) == (server.url, task.endpoint.path)
    assert (target.namespace, target.name) == ("file", str(tmp_path / "day.csv"))
    statistics = target.outputFacets["outputStatistics"]
    assert (statistics.rowCount, statistics.size) == (5, (tmp_path / "day.csv").stat().st_size)
    columns = {field.name: field.type for field in target.facets["schema"].fields}
    assert (columns["startTime"], columns["callPrice"], columns["_extra"]) == ("timestamp", "decimal", "JSON text")
    assert server.access_key not in str(lineage)
    assert server.access_secret not in str(lineage)


def test_an_object_store(server: Emulator, memory_store: object) -> None:
    lineage = fetched(server, output_path="memory://landing/cdr/day.jsonl").get_openlineage_facets_on_complete(None)
    (target,) = lineage.outputs
    assert (target.namespace, target.name) == ("memory://landing", "cdr/day.jsonl")


def test_dropped_fields(server: Emulator, tmp_path: Path) -> None:
    def columns(file: str) -> list[str]:
        task = fetched(server, output_path=str(tmp_path / file), redact={"callNumber": "drop"})
        (target,) = task.get_openlineage_facets_on_complete(None).outputs
        return [field.name for field in target.facets["schema"].fields]

    assert "callNumber" not in columns("day.jsonl")
    assert "callNumber" in columns("day.csv")


def test_xcom_is_no_dataset(server: Emulator) -> None:
    lineage = fetched(server).get_openlineage_facets_on_complete(None)
    assert (len(lineage.inputs), lineage.outputs) == (1, [])
