"""Which interval a DAG run means, for every kind of run and every way to name one."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_nxcloud.interval import Interval, resolve_interval, split_interval
from tests.conftest import ZONE, utc

START, END = utc(2026, 3, 16, 16), utc(2026, 3, 17, 16)
DAY = Interval(int(START.timestamp()), int(END.timestamp()))
POINT = {"data_interval_start": END, "data_interval_end": END, "logical_date": END}


def resolve(context: dict[str, Any] | None = None, **options: Any) -> Interval:
    return resolve_interval(context or {}, **{"timezone": ZONE, **options})


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-03-17", "2026-03-18"),
        ("2026-03-17T00:00:00", "2026-03-18 00:00"),
        ("20260317", "20260318"),
        ("2026-03-16T16:00:00Z", "2026-03-17T18:00:00+02:00"),
        (str(pendulum.instance(START)), str(pendulum.instance(END))),
        (START, END),
        (START.astimezone(ZoneInfo("America/New_York")), pendulum.instance(END)),
        (START.astimezone(ZONE).replace(tzinfo=None), END),
        (date(2026, 3, 17), date(2026, 3, 18)),
        (START.timestamp(), int(END.timestamp())),
        (str(int(START.timestamp())), f" {END.timestamp()} "),
    ],
)
def test_explicit_parameters_need_nothing_of_the_context(start: Any, end: Any) -> None:
    assert resolve(interval_start=start, interval_end=end) == DAY


def test_explicit_parameters_come_first() -> None:
    context = {"data_interval_start": utc(2026, 1, 1), "data_interval_end": utc(2026, 1, 2)}
    assert resolve(context, interval_start=START, interval_end=END, lookback=timedelta(1)) == DAY


def test_empty_text_of_a_template_is_not_given() -> None:
    context = {"data_interval_start": START, "data_interval_end": END}
    assert resolve(context, interval_start="", interval_end="") == DAY


def test_then_the_data_interval() -> None:
    context = {"data_interval_start": START, "data_interval_end": END, "logical_date": START}
    assert resolve(context, lookback=timedelta(hours=1)) == DAY


def test_then_the_partitions_calendar_day_in_the_connections_zone() -> None:
    assert resolve({**POINT, "partition_date": utc(2026, 3, 16, 16)}) == DAY
    assert resolve({"partition_date": utc(2026, 3, 17, 15, 59)}, lookback=timedelta(hours=1)) == DAY


def test_a_partitions_day_has_the_hours_that_its_date_has() -> None:
    new_york = ZoneInfo("America/New_York")
    spring = resolve({"partition_date": datetime(2026, 3, 8, 12, tzinfo=new_york)}, timezone=new_york)
    autumn = resolve({"partition_date": datetime(2026, 11, 1, 12, tzinfo=new_york)}, timezone=new_york)
    assert (spring.end - spring.start, autumn.end - autumn.start) == (23 * 3600, 25 * 3600)


def test_then_lookback_before_the_runs_point_in_time() -> None:
    assert resolve(POINT, lookback=timedelta(days=1)) == DAY
    assert resolve({"logical_date": END}, lookback=timedelta(days=1)) == DAY


@pytest.mark.parametrize("context", [{}, POINT, {"logical_date": END}, {"data_interval_start": None}])
def test_else_an_explanation(context: dict[str, Any]) -> None:
    with pytest.raises(AirflowFailException) as raised:
        resolve(context)
    for way_out in ("CronDataIntervalTimetable", "lookback", "interval_start", "interval_end"):
        assert way_out in str(raised.value)


def test_a_run_without_any_date_needs_explicit_parameters() -> None:
    with pytest.raises(AirflowFailException, match="no logical date"):
        resolve({}, lookback=timedelta(days=1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interval_start": START}, "both or neither"),
        ({"interval_end": "2026-03-17"}, "both or neither"),
        ({"interval_start": END, "interval_end": START}, "at least one whole second"),
        (
            {"interval_start": START, "interval_end": START + timedelta(milliseconds=999)},
            "at least one whole second",
        ),
        ({"interval_start": "None", "interval_end": END}, "'None'"),
        ({"interval_start": "12:00", "interval_end": END}, "'12:00'"),
        ({"interval_start": True, "interval_end": END}, "True"),
        ({"interval_start": float("nan"), "interval_end": END}, "nan"),
        ({"interval_start": 20260317, "interval_end": 20260318}, "taken in seconds"),
        ({"interval_start": START.timestamp() * 1000, "interval_end": END}, "taken in seconds"),
        ({"lookback": timedelta(days=-1)}, "lookback must be positive"),
        ({"lookback": 86_400}, "lookback must be a timedelta"),
    ],
)
def test_a_mistake_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AirflowFailException, match=message):
        resolve(POINT, **options)


moments = st.datetimes(datetime(2001, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


@given(st.lists(moments, min_size=2, max_size=20, unique=True))
def test_neighbours_share_their_floored_edge(edges: list[datetime]) -> None:
    edges.sort()
    tiles = []
    for start, end in pairwise(edges):
        if int(start.timestamp()) < int(end.timestamp()):
            tiles.append(resolve({"data_interval_start": start, "data_interval_end": end}))
    for earlier, later in pairwise(tiles):
        assert earlier.end == later.start
    if tiles:
        assert tiles[0].start <= edges[0].timestamp() < tiles[0].start + 1


@given(moments, st.timedeltas(timedelta(seconds=1), timedelta(days=40)))
def test_every_way_to_write_a_moment_means_the_same(start: datetime, length: timedelta) -> None:
    end = start + length
    expected = resolve(interval_start=start, interval_end=end)
    local_start, local_end = (moment.astimezone(ZONE).replace(tzinfo=None) for moment in (start, end))
    assert resolve(interval_start=local_start, interval_end=local_end) == expected
    assert resolve(interval_start=start.isoformat(), interval_end=end.isoformat()) == expected
    assert resolve(interval_start=expected.start, interval_end=str(expected.end)) == expected


def test_only_an_interval_that_has_ended_is_complete() -> None:
    now = int(datetime.now(UTC).timestamp())
    Interval(now - 60, now).require_ended()
    with pytest.raises(AirflowException, match="not complete yet"):
        Interval(now - 60, now + 60).require_ended()


@given(moments, st.timedeltas(timedelta(seconds=1), timedelta(days=40)), st.integers(1, 40 * 86_400))
def test_pieces_tile_the_interval(start: datetime, length: timedelta, seconds: int) -> None:
    whole = resolve(interval_start=start, interval_end=start + length)
    step = timedelta(seconds=max(seconds, int(length.total_seconds()) // 500))
    pieces = [resolve({}, **piece) for piece in split_interval(whole.start, whole.end, step)]
    assert (pieces[0].start, pieces[-1].end) == (whole.start, whole.end)
    for earlier, later in pairwise(pieces):
        assert earlier.end == later.start
        assert earlier.end - earlier.start == step.total_seconds()
    assert pieces[-1].end - pieces[-1].start <= step.total_seconds()


def test_whole_days_are_calendar_days() -> None:
    pieces = split_interval("2026-03-07", "2026-03-10", timedelta(days=1), timezone="America/New_York")
    assert pieces[1] == {"interval_start": "2026-03-08T00:00:00-05:00", "interval_end": "2026-03-09T00:00:00-04:00"}
    autumn = split_interval("2026-11-01", "2026-11-02T12:00", timedelta(days=1), timezone="America/New_York")
    hours = [(piece.end - piece.start) / 3600 for piece in (resolve({}, **piece) for piece in autumn)]
    assert hours == [25, 12]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (timedelta(0), "step must"),
        (timedelta(milliseconds=1500), "step must"),
        (86_400, "step must be a timedelta"),
        (timedelta.max, "step must"),
        (timedelta(minutes=1), "more than 1024 pieces"),
    ],
)
def test_a_wrong_step_is_named(step: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split_interval(START, END, step)


def test_as_many_pieces_as_airflow_maps() -> None:
    assert len(split_interval(DAY.start, DAY.start + 1024, timedelta(seconds=1))) == 1024
