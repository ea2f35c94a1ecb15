"""The demo's day has settled at every moment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dag_runs import load
from tests.demo.__main__ import DAGS
from tests.demo.day import SETTLED_AFTER, ZONE, Day
from tests.demo.processes import REPOSITORY

ZONES = ("Asia/Shanghai", "UTC", "Pacific/Kiritimati", "America/Los_Angeles")
HOUR = timedelta(hours=1)


def settles() -> list[timedelta]:
    tasks = [
        task for dag_id in DAGS for task in load(Path(REPOSITORY, "example_dags", f"{dag_id}.py")).dags[dag_id].tasks
    ]
    return [task.settle for task in tasks if getattr(task, "settle", None)]


def moments() -> Iterator[datetime]:
    """Every hour of three days around turns of the month and the year, and the seconds beside it."""
    for turn in (
        datetime(2027, 1, 1, tzinfo=ZONE),
        datetime(2028, 3, 1, tzinfo=ZONE),
        datetime(2026, 11, 1, tzinfo=ZONE),
    ):
        for hours in range(-36, 37):
            for seconds in (-1, 0, 1, 1800):
                yield turn + hours * HOUR + timedelta(seconds=seconds)


def assert_settled(day: Day, moment: datetime) -> None:
    assert day.end - day.start == timedelta(days=1)
    assert day.end.astimezone(ZONE).timetuple()[3:6] == (0, 0, 0)
    assert day.end + SETTLED_AFTER <= moment < day.end + SETTLED_AFTER + timedelta(days=1)


def test_no_dag_of_the_demo_settles_later() -> None:
    assert len(settles()) == len(DAGS)
    assert max(settles()) <= SETTLED_AFTER


@pytest.mark.parametrize("zone", ZONES)
def test_the_day_has_settled_at_each_hour_and_turn(zone: str) -> None:
    for moment in moments():
        assert_settled(Day.settled_at(moment.astimezone(ZoneInfo(zone))), moment)


@given(st.datetimes(datetime(2026, 1, 4), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_the_day_has_settled_at_any_moment(moment: datetime) -> None:
    assert_settled(Day.settled_at(moment), moment)


def test_half_past_midnight() -> None:
    day = Day.settled_at(datetime(2026, 12, 31, 16, 30, tzinfo=UTC))  # 00:30 on New Year's Day in Shanghai
    assert day == (datetime(2026, 12, 30, tzinfo=ZONE), datetime(2026, 12, 31, tzinfo=ZONE))
