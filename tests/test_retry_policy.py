"""What Airflow 3.3 does with a failed task."""

from __future__ import annotations

from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_nxcloud.api import errors
from airflow_provider_nxcloud.operators.cdr import NXCloudDidCdrOperator

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
