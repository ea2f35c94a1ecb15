"""What the asset events of real runs tell: the manifest, and the run's partition."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Asset

from tests.conftest import DAY_END, DAY_START, utc
from tests.dag_runs import DagRuns, asset_events, result, states
from tests.emulator import Emulator

IN_AIRFLOW_3 = hasattr(Asset, "ref")

DAG = """
import pendulum
from airflow.providers.common.compat.sdk import DAG, Asset, AssetAlias
{imports}

from airflow_provider_nxcloud.operators.cdr import NXCloudDidCdrOperator

with DAG("{dag_id}", schedule={schedule}, start_date=pendulum.datetime(2026, 1, 1), catchup=False):
    NXCloudDidCdrOperator(task_id="fetch", output_path="memory://landing/cdr/", outlets={outlets}, **{options})
"""


@pytest.fixture
def run(
    emulator: Callable[..., Emulator],
    connection: Callable[[Emulator], str],
    dag_runs: Callable[[Path], DagRuns],
    memory_store: object,
    tmp_path: Path,
) -> Callable[..., Any]:
    """Return a function that runs the operator with outlets."""
    connection(emulator(did_per_day=5))

    def run(
        outlets: str,
        *,
        imports: str = "",
        schedule: str = "None",
        partition: dict[str, Any] | None = None,
    ) -> Any:
        dag_id = tmp_path.name
        options = {} if partition else {"interval_start": DAY_START, "interval_end": DAY_END}
        text = DAG.format(dag_id=dag_id, outlets=outlets, imports=imports, schedule=schedule, options=options)
        (tmp_path / f"{dag_id}.py").write_text(text)

        def change(dag_run: Any, session: object) -> None:
            for name, value in (partition or {}).items():
                setattr(dag_run, name, value)

        return dag_runs(tmp_path).run(dag_id, None if partition else utc(2026, 3, 18), change=change)

    return run


def uri_of(event: Any) -> str:
    asset = event.asset if IN_AIRFLOW_3 else event.dataset
    return str(asset.uri)


def flat(manifest: dict[str, Any]) -> dict[str, Any]:
    return {name: json.dumps(value) if isinstance(value, dict) else value for name, value in manifest.items()}


def test_every_outlets_event_carries_the_manifest(run: Callable[..., Any]) -> None:
    dag_run = run('[Asset("calls"), Asset("memory://landing/cdr"), "no asset"]')
    assert set(states(dag_run).values()) == {"success"}
    events = asset_events(dag_run)
    assert {uri_of(event) for event in events} == {"calls", "memory://landing/cdr"}
    manifest = result(dag_run, "fetch")
    assert manifest["records"] == 5
    assert [event.extra for event in events] == [manifest] * 2


def test_an_alias_becomes_the_asset_at_the_output_path(run: Callable[..., Any]) -> None:
    dag_run = run('[AssetAlias("calls")]')
    assert set(states(dag_run).values()) == {"success"}
    (event,) = asset_events(dag_run)
    assert uri_of(event) == "memory://landing/cdr"
    assert event.extra == flat(result(dag_run, "fetch"))


@pytest.mark.skipif(not IN_AIRFLOW_3, reason="Airflow 2 has neither")
def test_references_and_kinds_of_assets(run: Callable[..., Any]) -> None:
    imports = "from airflow.sdk.definitions.asset import Model"
    dag_run = run('[Asset.ref(name="known"), Asset(name="known", uri="memory://x"), Model("model")]', imports=imports)
    assert set(states(dag_run).values()) == {"success"}
    events = asset_events(dag_run)
    assert {event.asset.name for event in events} == {"known", "model"}
    assert all(event.extra == result(dag_run, "fetch") for event in events)


@pytest.mark.skipif(
    tuple(map(int, version("apache-airflow").split(".")[:2])) < (3, 3),
    reason="Airflow before 3.3 tells a task no partition date",
)
def test_an_event_has_its_runs_partition(run: Callable[..., Any]) -> None:
    dag_run = run(
        '[Asset("calls"), AssetAlias("alias")]',
        imports="from airflow.sdk import CronPartitionTimetable",
        schedule='CronPartitionTimetable("0 0 * * *", timezone="Asia/Shanghai")',
        partition={"partition_key": "2026-03-17T00:00:00", "partition_date": utc(2026, 3, 16, 16)},
    )
    assert set(states(dag_run).values()) == {"success"}
    manifest = result(dag_run, "fetch")
    assert (manifest["interval_start"], manifest["interval_end"]) == ("2026-03-16T16:00:00Z", "2026-03-17T16:00:00Z")
    events = asset_events(dag_run)
    assert {uri_of(event) for event in events} == {"calls", "memory://landing/cdr"}
    assert {event.partition_key for event in events} == {"2026-03-17T00:00:00"}
    assert all(flat(event.extra) == flat(manifest) for event in events)
