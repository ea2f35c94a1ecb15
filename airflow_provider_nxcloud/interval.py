"""Which half-open interval ``[start, end)`` a DAG run means."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_nxcloud.api.moments import Moment, unix_seconds

NO_INTERVAL = (
    "This DAG run has no data interval: {found}. Since Airflow 3 a cron string or preset such as '@daily' "
    "gives runs a point in time only (CronTriggerTimetable). Schedule the DAG with CronDataIntervalTimetable, "
    "or set lookback=timedelta(...), or interval_start and interval_end"
)


@dataclass(frozen=True, slots=True)
class Interval:
    """
    A half-open interval of call start times, in whole seconds.

    :param start: Unix time in seconds, inclusive
    :param end: Unix time in seconds, exclusive
    """

    start: int
    end: int

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError(
                f"The interval from {utc_text(self.start)} to {utc_text(self.end)} is empty: its end must be at "
                "least one whole second after its start"
            )

    def __str__(self) -> str:
        return f"[{utc_text(self.start)}, {utc_text(self.end)})"

    def require_ended(self) -> None:
        """
        Refuse an interval that has not ended: calls would still be missing.

        :raises AirflowException: names the end; a retry after it succeeds
        """
        if (missing := self.end - time.time()) > 0:
            raise AirflowException(
                f"The interval {self} ends in {missing:.0f} s, so its records are not complete yet: run the task "
                "after its end, or choose an earlier interval"
            )


def utc_text(seconds: int) -> str:
    """Return Unix time as ISO 8601 text in UTC, with ``Z``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def resolve_interval(
    context: Mapping[str, Any],
    *,
    interval_start: Moment | None = None,
    interval_end: Moment | None = None,
    lookback: timedelta | None = None,
    timezone: ZoneInfo,
) -> Interval:
    """
    Return the interval that a DAG run means, both edges floored to whole seconds.

    In this order: the explicit parameters; the run's data interval, where it is not empty; the calendar day of
    a partitioned run's partition date (Airflow 3.2+); ``lookback`` before the run's point in time.

    :param context: the task's context; nothing of it is needed where the parameters say all
    :param interval_start: see :func:`~airflow_provider_nxcloud.api.moments.unix_seconds`; None or empty: not given
    :param interval_end: likewise
    :param lookback: length of the interval of a run that has only a point in time
    :param timezone: zone of dates and times without an offset, and of a partition's calendar day
    :raises AirflowFailException: where there is no interval, with what to do
    """
    try:
        return _resolve(context, interval_start, interval_end, lookback, timezone)
    except ValueError as error:
        raise AirflowFailException(str(error)) from None


def _resolve(
    context: Mapping[str, Any],
    start: Moment | None,
    end: Moment | None,
    lookback: timedelta | None,
    timezone: ZoneInfo,
) -> Interval:
    given = [moment for moment in (start, end) if moment is not None and moment != ""]
    if len(given) == 1:
        raise ValueError("interval_start and interval_end go together: set both or neither")
    if given:
        return Interval(*(unix_seconds(moment, timezone) for moment in given))
    run_start, run_end = context.get("data_interval_start"), context.get("data_interval_end")
    if run_start is not None and run_end is not None and run_start < run_end:
        return Interval(unix_seconds(run_start, timezone), unix_seconds(run_end, timezone))
    if (partition := context.get("partition_date")) is not None:
        return _calendar_day(partition, timezone)
    point = run_end or context.get("logical_date")
    if lookback is not None and point is not None:
        if lookback <= timedelta(0):
            raise ValueError(f"lookback must be positive, not {lookback}")
        return Interval(unix_seconds(point - lookback, timezone), unix_seconds(point, timezone))
    raise ValueError(NO_INTERVAL.format(found=_found(run_start, run_end, point)))


def _calendar_day(partition: datetime, timezone: ZoneInfo) -> Interval:
    day = partition.astimezone(timezone).date()
    return Interval(unix_seconds(day, timezone), unix_seconds(day + timedelta(days=1), timezone))


def _found(run_start: Any, run_end: Any, point: Any) -> str:
    if run_start is not None:
        return f"it starts and ends at {run_end}"
    return f"it has only the logical date {point}" if point is not None else "it has no logical date either"
