"""What Airflow does with a failed task (Airflow 3.3 and later)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import RetryDecision, RetryPolicy

from airflow_provider_nxcloud.api.errors import NXCloudError, NXCloudRateLimitError

if TYPE_CHECKING:
    from airflow.sdk import Context

#: A longer wait is left to the task's own ``retry_delay``: no rate limit means it.
LONGEST_DELAY = timedelta(days=1)


class NXCloudRetryPolicy(RetryPolicy):
    """
    Retries when a rate limit lets it, and not at all where a retry cannot help.

    The operators have it where the user gives no ``retry_policy``; for the hook in a ``@task``, give it:
    ``@task(retries=3, retry_policy=NXCloudRetryPolicy())``.
    """

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide by the exception; what is no error of NXCloud is left to the task's own settings."""
        if not isinstance(exception, NXCloudError):
            return RetryDecision.default()
        if not exception.transient:
            return RetryDecision.fail(f"No retry can help: {type(exception).__name__}")
        seconds = exception.retry_after if isinstance(exception, NXCloudRateLimitError) else None
        if seconds is None or not 0 <= seconds <= LONGEST_DELAY.total_seconds():
            return RetryDecision.default()
        return RetryDecision.retry(timedelta(seconds=seconds), f"NXCloud asks to wait {seconds:g} s")
