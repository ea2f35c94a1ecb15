"""OpenLineage: the endpoint as input, the object as output, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, Asset
from airflow.utils.state import TaskInstanceState

from airflow_provider_nxcloud.operators.cdr import NXCloudDidCdrOperator
from tests.conftest import DAY, DAY_END, DAY_START
from tests.emulator import Emulator, Fault, generate_did_cdrs

pytest.importorskip("airflow.providers.openlineage", reason="apache-airflow-providers-openlineage is not installed")


class OutletEvents:
    def __getitem__(self, outlet: object) -> SimpleNamespace:
        return SimpleNamespace(extra={})


def fetched(server: Emulator, **options: Any) -> NXCloudDidCdrOperator:
    task = NXCloudDidCdrOperator(task_id="fetch", interval_start=DAY_START, interval_end=DAY_END, **options)
    task.execute({"outlet_events": OutletEvents()})  # type: ignore[typeddict-item]
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


def extracted(task: NXCloudDidCdrOperator, state: TaskInstanceState) -> Any:
    """Return what OpenLineage's own extractor gets of a task that has ended."""
    from airflow.providers.openlineage.extractors.manager import ExtractorManager

    run = SimpleNamespace(run_id="run")
    return ExtractorManager().extract_metadata(run, task, state, SimpleNamespace(task=task))


def test_the_extractor_gets_exactly_both(server: Emulator, tmp_path: Path) -> None:
    outlets = [Asset("nxcloud_did_cdr"), Asset("s3://landing/cdr")]
    task = fetched(server, output_path=str(tmp_path / "day.jsonl"), outlets=outlets)
    lineage = extracted(task, TaskInstanceState.SUCCESS)
    assert [(each.namespace, each.name) for each in lineage.inputs] == [(server.url, task.endpoint.path)]
    assert [(each.namespace, each.name) for each in lineage.outputs] == [("file", str(tmp_path / "day.jsonl"))]
    assert (lineage.run_facets, lineage.job_facets) == ({}, {})  # Airflow itself adds its own, and an error's
    assert server.access_key not in str(lineage)
    assert server.access_secret not in str(lineage)


def test_the_extractor_gets_the_endpoint_of_a_failure(server: Emulator, tmp_path: Path) -> None:
    server.add_fault(Fault("error_code", code=1005, message="no permission", times=None))
    path = str(tmp_path / "day.jsonl")
    task = NXCloudDidCdrOperator(
        task_id="fetch", interval_start=DAY_START, interval_end=DAY_END, output_path=path, outlets=[Asset("file:///x")]
    )
    with pytest.raises(AirflowFailException):
        task.execute({})
    lineage = extracted(task, TaskInstanceState.FAILED)
    assert [(each.namespace, each.name) for each in lineage.inputs] == [(server.url, task.endpoint.path)]
    assert lineage.outputs == []
