"""What one query asks for, page by page: a range of time, or a calendar date."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Self
from zoneinfo import ZoneInfo

from airflow_provider_nxcloud.api.moments import local_moment, utc_text

SECOND_MS = 1000


@dataclass(frozen=True)
class Window(ABC):
    """
    One query, and the part of the interval that it answers for.

    :param start: Unix time in seconds, inclusive
    :param end: Unix time in seconds, exclusive
    :param filters: body parameters besides those that say when
    """

    start: int
    end: int
    filters: Mapping[str, Any] = field(repr=False)  # may hold phone numbers

    def __str__(self) -> str:
        return f"[{utc_text(self.start)}, {utc_text(self.end)})"

    @property
    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """The query's body, without page number and size."""

    @abstractmethod
    def contains_all(self, starts: Sequence[Any]) -> bool:
        """Return whether all of these start times, as the endpoint gives them, lie in what was asked for."""

    @abstractmethod
    def moment(self, start: Any) -> int | None:
        """
        Return a start time in Unix milliseconds, None where it is not told.

        :raises ValueError: where it is unreadable
        """

    def displacement(self, start: Any) -> int:
        """Return by how many milliseconds a start time lies outside of what was asked for; negative: before it."""
        return displacement(self.moment(start), self.start, self.end)

    def selected(self, starts: Sequence[Any]) -> list[bool] | None:
        """
        Return which records of a page the window keeps, None where all.

        What it leaves out, the very same query brings to the neighbouring interval.
        """
        return None

    @abstractmethod
    def neighbour(self, start: Any, interval: tuple[int, int]) -> Window:
        """
        Return the question that shows whether a neighbouring interval is given a record, too.

        :param start: the record's start time, outside of the interval
        :param interval: Unix seconds, half-open
        """

    def with_filters(self, filters: Mapping[str, Any]) -> Self:
        """Return the same question with further filters."""
        return self.with_only({**self.filters, **filters})

    def with_only(self, filters: Mapping[str, Any]) -> Self:
        """Return the same question with other filters."""
        return replace(self, filters=filters)


def displacement(moment: int | None, start: int, end: int) -> int:
    """
    Return by how many milliseconds a moment lies outside of ``[start, end)``, 0 where it is inside.

    A record that does not tell its start counts as the last one before it.
    """
    if not moment:
        return -1
    return min(moment - start * SECOND_MS, 0) or max(moment - end * SECOND_MS + 1, 0)


@dataclass(frozen=True)
class TimeRange(Window):
    """
    A query for a range of time, whose records say in Unix milliseconds when they start.

    :param bounds: names of the body parameters for start and end, in Unix seconds
    """

    bounds: tuple[str, str] = ("startTime", "endTime")

    @property
    def parameters(self) -> dict[str, Any]:
        """The query's body, without page number and size."""
        return {self.bounds[0]: self.start, self.bounds[1]: self.end, **self.filters}

    def contains_all(self, starts: Sequence[int | None]) -> bool:
        """Return whether all start times are known, and lie in the range."""
        if not starts:
            return True
        return (
            None not in starts
            and self.start * SECOND_MS <= min(starts)  # type: ignore[type-var, operator]
            and max(starts) < self.end * SECOND_MS  # type: ignore[type-var, operator]
        )

    def moment(self, start: int | None) -> int | None:
        """Return the start time as it is."""
        return start

    def second(self, start: int | None) -> int:
        """Return a start time in Unix seconds, 0 where it is not told."""
        return (start or 0) // SECOND_MS

    def narrowed(self, start: int, end: int) -> TimeRange:
        """Return the same question for other seconds."""
        return replace(self, start=start, end=end)

    def neighbour(self, start: int | None, interval: tuple[int, int]) -> TimeRange:
        """Return the question for the second beside the interval's edge."""
        if displacement(start, *interval) < 0:
            return self.narrowed(interval[0] - 1, interval[0])
        return self.narrowed(interval[1], interval[1] + 1)


@dataclass(frozen=True)
class CalendarDate(Window):
    """
    A query for a local calendar date, whose records say in wall-clock time when they start.

    :param day: the date
    :param timezone: of date and wall-clock times
    """

    day: date
    timezone: ZoneInfo

    @property
    def parameters(self) -> dict[str, Any]:
        """The query's body, without page number and size."""
        return {"date": self.day.isoformat(), **self.filters}

    def contains_all(self, starts: Sequence[str | None]) -> bool:
        """Return whether all start times are known, and are of the date."""
        if not starts:
            return True
        day, next_day = self.day.isoformat(), (self.day + timedelta(days=1)).isoformat()
        return None not in starts and day <= min(starts) and max(starts) < next_day  # type: ignore[type-var, operator]

    def moment(self, start: str | None) -> int | None:
        """Read a wall-clock time; one that a DST change makes ambiguous is its first occurrence."""
        return int(local_moment(start, self.timezone).timestamp()) * SECOND_MS if start else None

    def displacement(self, start: str | None) -> int:
        """Return how far a start time lies outside of the date."""
        if start and start.startswith(self.day.isoformat()):
            return 0
        return displacement(self.moment(start), *self._day_span)

    def selected(self, starts: Sequence[str | None]) -> list[bool] | None:
        """Keep what starts in the window; what the server filed under the date from outside counts to its edge."""
        first, last = self._day_span
        if (self.start, self.end) == (first, last):
            return None

        def is_kept(start: str | None) -> bool:
            moment = (self.moment(start) or 0) // SECOND_MS
            return self.start <= min(max(moment, first), last - 1) < self.end

        return [is_kept(start) for start in starts]

    def neighbour(self, start: str | None, interval: tuple[int, int]) -> CalendarDate:
        """Return the question for the date on which the record starts, or for the one before where it does not tell."""
        moment = self.moment(start)
        if moment is None:
            return calendar_date(self.day - timedelta(days=1), self.filters, self.timezone)
        day = datetime.fromtimestamp(moment // SECOND_MS, self.timezone).date()
        return calendar_date(day, self.filters, self.timezone)

    @property
    def _day_span(self) -> tuple[int, int]:
        return _span_of(self.day, self.timezone)


def calendar_date(day: date, filters: Mapping[str, Any], timezone: ZoneInfo) -> CalendarDate:
    """Return the window of a whole date."""
    return CalendarDate(*_span_of(day, timezone), filters, day, timezone)


def time_ranges(
    start: int, end: int, span: timedelta | None, filters: Mapping[str, Any], bounds: tuple[str, str]
) -> Iterator[TimeRange]:
    """Yield the ranges of a length that tile ``[start, end)``, in order; None: it is one."""
    step = int(span.total_seconds()) if span else end - start
    for first in range(start, end, step):
        yield TimeRange(first, min(first + step, end), filters, bounds)


def calendar_dates(start: int, end: int, filters: Mapping[str, Any], timezone: ZoneInfo) -> Iterator[CalendarDate]:
    """Yield the local dates that ``[start, end)`` touches, each cut to it."""
    # A DST change around midnight can put the interval's first second into the date before.
    day = datetime.fromtimestamp(start, timezone).date() - timedelta(days=1)
    while (date_ := calendar_date(day, filters, timezone)).start < end:
        first, last = max(start, date_.start), min(end, date_.end)
        if first < last:
            yield replace(date_, start=first, end=last)
        day += timedelta(days=1)


def _span_of(day: date, timezone: ZoneInfo) -> tuple[int, int]:
    return _start_of(day, timezone), _start_of(day + timedelta(days=1), timezone)


def _start_of(day: date, timezone: ZoneInfo) -> int:
    """Return the first second of a local calendar date, which a DST change may move off midnight."""
    return int(datetime(day.year, day.month, day.day, tzinfo=timezone).timestamp())
