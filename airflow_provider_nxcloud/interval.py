"""Which half-open interval ``[start, end)`` a DAG run means."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count, islice, pairwise, takewhile
from typing import Any
from zoneinfo import ZoneInfo

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_nxcloud.api.defaults import TIMEZONE
from airflow_provider_nxcloud.api.moments import Moment, unix_seconds, utc_text

#: Airflow's own default limit of mapped tasks, ``[core] max_map_length``.
MAX_PIECES = 1024
LONGEST_STEP = timedelta(days=366)
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
                "after its end, set settle=timedelta(...) to let it wait, or choose an earlier interval"
            )


def require_timedelta(name: str, value: object) -> timedelta:
    """
    Return a parameter that is a timedelta.

    :raises ValueError: where it is something else
    """
    if not isinstance(value, timedelta):
        raise ValueError(f"{name} must be a timedelta, such as timedelta(hours=1), not {value!r}")
    return value


def split_interval(
    start: Moment,
    end: Moment,
    step: timedelta,
    *,
    timezone: str | ZoneInfo = TIMEZONE,
    max_pieces: int = MAX_PIECES,
) -> list[dict[str, str]]:
    """
    Split a long interval, for mapped tasks that are fetched side by side and retried one by one.

    .. code-block:: python

        NXCloudDidCdrOperator.partial(task_id="fetch", output_path="s3://my-bucket/cdr").expand_kwargs(
            split_interval("2026-10-01", "2026-11-01", timedelta(days=1))
        )

    Neighbours share their edge, and the last piece ends at ``end``. Whole days are calendar days: where a DST change
    falls into one, it has 23 or 25 hours.

    :param start: ISO 8601 text, datetime, date or Unix seconds, inclusive; without an offset it is in ``timezone``
    :param end: likewise, exclusive
    :param step: length of a piece, in whole seconds
    :param timezone: the Connection's, in which days are counted
    :param max_pieces: more pieces than this are an error
    :return: ``interval_start`` and ``interval_end`` of each piece, as ISO 8601 text with offset
    :raises ValueError: says what is wrong with the parameters
    """
    zone = ZoneInfo(timezone) if isinstance(timezone, str) else timezone
    whole = Interval(unix_seconds(start, zone), unix_seconds(end, zone))
    if not timedelta(seconds=1) <= require_timedelta("step", step) <= LONGEST_STEP or step.microseconds:
        raise ValueError(f"step must be in whole seconds, from one to {LONGEST_STEP.days} days, not {step}")
    inner = list(islice(takewhile(lambda edge: edge < whole.end, _edges_after(whole.start, step, zone)), max_pieces))
    if len(inner) == max_pieces:
        raise ValueError(
            f"{whole} in steps of {step} makes more than {max_pieces} pieces, and Airflow maps no task to more than "
            "[core] max_map_length: choose a longer step or a shorter interval, or raise max_pieces with that option"
        )
    edges = sorted({whole.start, *inner, whole.end})  # a set: a zone that crosses the date line has skipped a day
    return [
        {"interval_start": _iso_text(first, zone), "interval_end": _iso_text(last, zone)}
        for first, last in pairwise(edges)
    ]


def _edges_after(start: int, step: timedelta, zone: ZoneInfo) -> Iterator[int]:
    seconds = int(step.total_seconds())
    if step.seconds:
        return count(start + seconds, seconds)
    local = datetime.fromtimestamp(start, zone)
    return (int((local + number * step).timestamp()) for number in count(1))


def _iso_text(seconds: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(seconds, zone).isoformat()


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
    a partitioned run's partition date (Airflow 3.3+); ``lookback`` before the run's point in time.

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
        if require_timedelta("lookback", lookback) <= timedelta(0):
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
