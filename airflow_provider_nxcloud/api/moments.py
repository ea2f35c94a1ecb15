"""Moments in time as people and NXCloud write them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from math import floor, isfinite
from zoneinfo import ZoneInfo

#: A moment as a caller may give it: ISO 8601 text, a datetime, a date, or Unix seconds as number or text.
Moment = str | datetime | date | int | float

#: Unix seconds outside of these years are a mistake, such as milliseconds or ``{{ ds_nodash }}`` as a number.
EARLIEST = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())
LATEST = int(datetime(2200, 1, 1, tzinfo=UTC).timestamp())
_COMPACT_DATE_DIGITS = 8


def local_moment(text: str, timezone: ZoneInfo) -> datetime:
    """
    Read ISO 8601 text; without an offset it is in ``timezone``, an ambiguous time being its first occurrence.

    :raises ValueError: where it is something else
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("it is not an ISO 8601 date or time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone)


def unix_seconds(moment: Moment, timezone: ZoneInfo) -> int:
    """
    Return a moment as Unix time, floored to the API's grain of whole seconds.

    :param moment: ISO 8601 text, a datetime, a date (its midnight), or Unix seconds as number or text
    :param timezone: zone of dates and times without an offset
    :raises ValueError: names the value and what is expected
    """
    try:
        seconds = floor(_seconds_of(moment, timezone))
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"{moment!r} is no moment in time ({error}): give ISO 8601 text, a datetime or Unix seconds"
        ) from None
    if not EARLIEST <= seconds < LATEST:
        raise ValueError(f"{moment!r} is not between the years 2000 and 2200: Unix time is taken in seconds")
    return seconds


def _seconds_of(moment: Moment, timezone: ZoneInfo) -> float:
    if isinstance(moment, str):
        text = moment.strip()
        if text.replace(".", "", 1).isdecimal() and len(text) != _COMPACT_DATE_DIGITS:
            return float(text)
        moment = local_moment(text, timezone)
    if isinstance(moment, datetime):
        aware = moment if moment.tzinfo else moment.replace(tzinfo=timezone)
        return aware.replace(microsecond=0).timestamp()
    if isinstance(moment, date):
        return datetime(moment.year, moment.month, moment.day, tzinfo=timezone).timestamp()
    if isinstance(moment, bool) or not isfinite(moment):
        raise TypeError("it is not a number of seconds")
    return float(moment)


def utc_text(seconds: int) -> str:
    """Return Unix time as ISO 8601 text in UTC, with ``Z``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
