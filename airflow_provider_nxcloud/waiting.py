"""Waiting until an interval's records have settled, without a worker where Airflow can."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow import __version__ as airflow_version

from airflow_provider_nxcloud.interval import Interval, require_timedelta

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger

#: From this version on, the scheduler heeds the date for which a task that is no sensor asks to be run again. Older
#: ones would run it again at once, and again.
FIRST_VERSION_WITH_RESCHEDULING = (3, 2)
#: A clock that is set, or a machine that was asleep, shows after this at the latest.
LONGEST_NAP_SECONDS = 30


def settled_at(interval: Interval, settle: timedelta) -> datetime:
    """
    Return the moment from which an interval's records may be fetched.

    :raises ValueError: for what is no timedelta, or a negative one
    """
    if require_timedelta("settle", settle) < timedelta(0):
        raise ValueError(f"settle must not be negative, as {settle} is: an interval is fetched after its end")
    return datetime.fromtimestamp(interval.end, UTC) + settle


def has_come(moment: datetime) -> bool:
    """Return whether a moment is now or past."""
    return moment <= datetime.now(UTC)


def trigger_at(moment: datetime) -> BaseTrigger:
    """Return Airflow's own date-time trigger; it does not fire before the moment."""
    from airflow.providers.common.compat.standard.triggers import TimeDeltaTrigger

    trigger: BaseTrigger = TimeDeltaTrigger(moment - datetime.now(UTC))  # it is stored as a DateTimeTrigger
    return trigger


def wait_without_triggerer(moment: datetime) -> None:
    """
    Give up the worker until a moment, where the Airflow version can run a task again at one; else sleep.

    :raises AirflowRescheduleException: tells Airflow to run the task again then, which counts as no retry
    """
    if tuple(map(int, airflow_version.split(".")[:2])) >= FIRST_VERSION_WITH_RESCHEDULING:
        from airflow.sdk.exceptions import AirflowRescheduleException

        raise AirflowRescheduleException(moment)  # type: ignore[no-untyped-call]
    sleep_until(moment)


def sleep_until(moment: datetime) -> None:
    """Sleep; the signal that ends a task ends it too."""
    while (missing := (moment - datetime.now(UTC)).total_seconds()) > 0:
        time.sleep(min(missing, LONGEST_NAP_SECONDS))
