"""What Airflow 3.3 does with a failed task."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.models.taskinstance import TaskInstance
from airflow.providers.common.compat.sdk import BaseOperator
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_provider_nxcloud.api import errors
from airflow_provider_nxcloud.operators.cdr import NXCloudDidCdrOperator
from tests.conftest import DAY_END, DAY_START, utc
from tests.dag_runs import DagRuns, load
from tests.emulator import Emulator, Fault

if not hasattr(BaseOperator, "retry_policy"):
    pytest.skip("Airflow before 3.3 has no retry policies", allow_module_level=True)

from airflow.sdk import ExceptionRetryPolicy, RetryAction

from airflow_provider_nxcloud.retry_policy import NXCloudRetryPolicy


@pytest.mark.parametrize(
    ("error", "action", "seconds"),
    [
        (errors.NXCloudRateLimitError("slow", retry_after=900), RetryAction.RETRY, 900),
        (errors.NXCloudRateLimitError("slow"), RetryAction.DEFAULT, None),
        (errors.NXCloudRateLimitError("slow", retry_after=1e12), RetryAction.DEFAULT, None),
        (errors.NXCloudServerError("busy"), RetryAction.DEFAULT, None),
        (errors.NXCloudPermissionError("no"), RetryAction.FAIL, None),
        (OSError("disk"), RetryAction.DEFAULT, None),
    ],
)
def test_by_the_error(error: BaseException, action: RetryAction, seconds: float | None) -> None:
    decision = NXCloudRetryPolicy().evaluate(error, 1, 3)
    assert decision.action is action
    assert decision.retry_delay == (None if seconds is None else timedelta(seconds=seconds))


def test_the_users_own_policy_wins() -> None:
    own = ExceptionRetryPolicy(rules=[])
    assert isinstance(NXCloudDidCdrOperator(task_id="fetch").retry_policy, NXCloudRetryPolicy)
    assert NXCloudDidCdrOperator(task_id="fetch", retry_policy=own).retry_policy is own
    by_default = NXCloudDidCdrOperator(task_id="fetch", default_args={"retry_policy": own})
    assert by_default.retry_policy is own


DAG = """
from datetime import timedelta

import pendulum
from airflow.sdk import DAG, ExceptionRetryPolicy

from airflow_provider_nxcloud.operators.cdr import NXCloudCallCenterCdrOperator, NXCloudDidCdrOperator

interval = {{"interval_start": {start}, "interval_end": {end}}}
own = {{"retry_policy": ExceptionRetryPolicy(rules=[])}}
options = {{"retries": 1, "retry_delay": timedelta(seconds=30)}}
with DAG("policies", schedule=None, start_date=pendulum.datetime(2026, 1, 1), default_args=options):
    for operator in (NXCloudCallCenterCdrOperator, NXCloudDidCdrOperator):
        kind = operator.endpoint.kind
        operator(task_id=f"{{kind}}_plain", **interval)
        operator(task_id=f"{{kind}}_own_plain", **interval, **own)
        operator.partial(task_id=f"{{kind}}_mapped").expand_kwargs([interval])
        operator.partial(task_id=f"{{kind}}_own_mapped", **own).expand_kwargs([interval])
"""
KINDS = ("call_center_cdr", "did_cdr")


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    (tmp_path / "policies.py").write_text(DAG.format(start=DAY_START, end=DAY_END))
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
def test_both_ways_to_make_a_task_have_the_same_policy(policies: Path, kind: str) -> None:
    dag = load(policies / "policies.py").dags["policies"]
    mapped, own_mapped = (dag.get_task(f"{kind}_{name}").unmap({}) for name in ("mapped", "own_mapped"))
    assert isinstance(dag.get_task(f"{kind}_plain").retry_policy, NXCloudRetryPolicy)
    assert isinstance(mapped.retry_policy, NXCloudRetryPolicy)
    assert isinstance(dag.get_task(f"{kind}_own_plain").retry_policy, ExceptionRetryPolicy)
    assert isinstance(own_mapped.retry_policy, ExceptionRetryPolicy)


@pytest.mark.parametrize("kind", KINDS)
def test_the_scheduler_can_read_the_dag(policies: Path, kind: str) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    dag = load(policies / "policies.py").dags["policies"]
    stored = json.loads(json.dumps(DagSerialization.serialize_dag(dag)))
    scheduled = DagSerialization.deserialize_dag(stored)
    assert scheduled.get_task(f"{kind}_plain").has_retry_policy
    assert scheduled.get_task(f"{kind}_own_mapped").has_retry_policy
    assert scheduled.get_task(f"{kind}_mapped").retries == 1
    assert list(scheduled.get_task(f"{kind}_plain").operator_extra_link_dict) == ["Object in storage"]


class StopAtRetryError(Exception):
    """Ends a run in this process, which would otherwise wait for the retry."""


def test_a_rate_limit_says_when_the_next_try_is(
    policies: Path,
    emulator: Callable[..., Emulator],
    connection: Callable[[Emulator], str],
    dag_runs: Callable[[Path], DagRuns],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = emulator()
    connection(server)
    server.add_fault(Fault("rate_limit", retry_after=900, times=None))

    def stop(seconds: float) -> None:
        raise StopAtRetryError

    monkeypatch.setattr(time, "sleep", stop)  # as the run does when it has nothing to do but to wait
    with pytest.raises(StopAtRetryError):
        dag_runs(policies).run("policies", utc(2026, 3, 18))

    with create_session() as session:
        tasks = session.scalars(select(TaskInstance).where(TaskInstance.dag_id == "policies")).all()
        delays = {ti.task_id: (ti.state, ti.retry_delay_override) for ti in tasks}
    for kind in KINDS:
        for name in ("plain", "mapped"):
            assert delays[f"{kind}_{name}"] == ("up_for_retry", 900)
            assert delays[f"{kind}_own_{name}"] == ("up_for_retry", None)
