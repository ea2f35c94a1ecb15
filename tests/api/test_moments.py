"""Moments in time, as people write them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from math import floor
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_nxcloud.api.moments import EARLIEST, LATEST, Moment, local_moment, unix_seconds
from tests.api.conftest import examples
from tests.conftest import DAY_START, ZONE

NEW_YORK = ZoneInfo("America/New_York")
SAO_PAULO = ZoneInfo("America/Sao_Paulo")

seconds = st.integers(EARLIEST + 86_400, LATEST - 86_400)
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@pytest.mark.parametrize(
    "moment",
    [
        "2026-03-17",
        "20260317",
        " 2026-03-17 ",
        "2026-03-17T00:00:00",
        "2026-03-17 00:00:00.999999",
        "2026-03-16T16:00:00Z",
        "2026-03-16T16:00:00+00:00",
        "2026-03-17T01:00:00+09:00",
        date(2026, 3, 17),
        datetime(2026, 3, 17),
        datetime(2026, 3, 17, 0, 0, 0, 999_999),
        datetime(2026, 3, 16, 16, tzinfo=UTC),
        DAY_START,
        DAY_START + 0.75,
        str(DAY_START),
        f"{DAY_START}.75",
    ],
)
def test_every_form_of_one_moment(moment: Moment) -> None:
    assert unix_seconds(moment, ZONE) == DAY_START


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("", "ISO 8601"),
        ("yesterday", "ISO 8601"),
        ("None", "ISO 8601"),
        ("2026-02-30", "ISO 8601"),
        ("99999999", "ISO 8601"),
        ("-5", "ISO 8601"),
        (None, "no moment in time"),
        (True, "not a number of seconds"),
        (float("nan"), "not a number of seconds"),
        (float("inf"), "not a number of seconds"),
        ("9" * 400, "no moment in time"),
        (10**400, "no moment in time"),
        (DAY_START * 1000, "taken in seconds"),
        (str(DAY_START * 1000), "taken in seconds"),
        (20_260_317, "taken in seconds"),
        ("1999-12-31", "2000 and 2200"),
        ("2200-01-01T00:00:00Z", "2000 and 2200"),
    ],
)
def test_what_is_no_moment_is_refused(moment: Any, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        unix_seconds(moment, ZONE)


@examples(200)
@given(second=seconds, microsecond=st.integers(0, 999_999), offset=offsets)
def test_moments_with_an_offset_mean_the_same_in_every_zone(second: int, microsecond: int, offset: timezone) -> None:
    moment = datetime.fromtimestamp(second, offset).replace(microsecond=microsecond)
    for zone in (ZONE, NEW_YORK, SAO_PAULO):
        assert unix_seconds(moment, zone) == unix_seconds(moment.isoformat(), zone) == second


@examples(200)
@given(second=seconds, zone=st.sampled_from([ZONE, NEW_YORK, SAO_PAULO]))
def test_wall_clock_times_are_read_in_the_zone(second: int, zone: ZoneInfo) -> None:
    moment = datetime.fromtimestamp(second, zone)
    first = floor(moment.replace(fold=0).timestamp())
    assert unix_seconds(moment.replace(tzinfo=None).isoformat(), zone) == first
    assert first in (second, second - 3600)  # an ambiguous time is its first occurrence


@examples(200)
@given(earlier=st.floats(EARLIEST, LATEST - 1), later=st.floats(EARLIEST, LATEST - 1))
def test_numbers_are_floored_and_keep_their_order(earlier: float, later: float) -> None:
    earlier, later = sorted((earlier, later))
    assert unix_seconds(earlier, ZONE) == floor(earlier) <= unix_seconds(later, ZONE)


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2026-11-01 01:30:00", NEW_YORK, "2026-11-01T05:30:00+00:00"),  # comes twice
        ("2026-03-08 02:30:00", NEW_YORK, "2026-03-08T07:30:00+00:00"),  # never comes
        ("2018-11-04 00:00:00", SAO_PAULO, "2018-11-04T03:00:00+00:00"),  # a midnight that never comes
        ("2026-03-17 08:00:00+01:00", ZONE, "2026-03-17T07:00:00+00:00"),
    ],
)
def test_local_moments_around_a_change_of_the_clocks(text: str, zone: ZoneInfo, expected: str) -> None:
    assert local_moment(text, zone).astimezone(UTC).isoformat() == expected


def test_local_moment_does_not_repeat_what_it_cannot_read() -> None:
    with pytest.raises(ValueError, match="not an ISO 8601") as caught:
        local_moment("85200001234", ZONE)
    assert "8520" not in str(caught.value)
