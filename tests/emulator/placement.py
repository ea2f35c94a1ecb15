"""Where a record stands in time: what a query selects and orders it by, and when its call started."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

from tests.emulator.behaviour import SelectsBy, StoredGrain
from tests.emulator.records import Record

DidDate = Literal["start", "end", "both"]

EPOCH = datetime.datetime(1970, 1, 1)
MILLISECOND = datetime.timedelta(milliseconds=1)
_SECOND = 1000

_STORED: dict[StoredGrain, Callable[[int], int]] = {
    "exact": lambda time: time,
    "rounded": lambda time: (time + _SECOND // 2) // _SECOND * _SECOND,
    "floored": lambda time: time // _SECOND * _SECOND,
}


@dataclass(frozen=True, slots=True)
class Placement:
    """What tells a record's place.

    A query for [start, end) selects a record whose `position` lies in it; where there is `until`, one that lies
    in it anywhere from the one to the other.
    """

    position: Callable[[Record], int]  # what records are ordered by, too
    instant: Callable[[Record], int]  # when the call started, in epoch milliseconds
    day_of: Callable[[int], datetime.date]  # the local calendar day of a position
    until: Callable[[Record], int] | None = None
    look_back: int = 0  # how many days earlier a record that a query selects may have started


def wall_clock_milliseconds(text: str) -> int:
    """Return a wall-clock time as a number that orders like it, whatever its zone."""
    return (datetime.datetime.fromisoformat(text) - EPOCH) // MILLISECOND


def call_center_placement(
    zone: ZoneInfo, selects_by: SelectsBy = "start", stored_grain: StoredGrain = "exact"
) -> Placement:
    """Place call center records by a time as it is stored, in epoch milliseconds."""
    stored = _STORED[stored_grain]

    def time_of(field: str) -> Callable[[Record], int]:
        return lambda record: stored(int(record[field]))

    return Placement(
        position=time_of("endTime" if selects_by == "end" else "startTime"),
        instant=lambda record: int(record["startTime"]),
        day_of=lambda position: datetime.datetime.fromtimestamp(position // 1000, zone).date(),
        until=time_of("endTime") if selects_by == "overlap" else None,
        look_back=0 if (selects_by, stored_grain) == ("start", "exact") else 1,
    )


def did_placement(zone: ZoneInfo, date_of: DidDate) -> Placement:
    """Place DID records by the wall-clock time whose date selects them; no call lasts longer than a day."""

    def time_of(field: str) -> Callable[[Record], int]:
        return lambda record: wall_clock_milliseconds(record[field])

    def instant(record: Record) -> int:
        local = datetime.datetime.fromisoformat(record["startTime"]).replace(tzinfo=zone)
        return int(local.timestamp()) * 1000

    return Placement(
        position=time_of("endTime" if date_of == "end" else "startTime"),
        instant=instant,
        day_of=lambda position: (EPOCH + position * MILLISECOND).date(),
        until=time_of("endTime") if date_of == "both" else None,
        look_back=0 if date_of == "start" else 1,
    )
