"""Which day the demo is for."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Shanghai")
#: A day's records have settled by then, whatever the hour: no example DAG's ``settle`` is longer.
SETTLED_AFTER = timedelta(days=1)


class Day(NamedTuple):
    """A day in the zone of NXCloud."""

    start: datetime
    end: datetime

    @classmethod
    def settled_at(cls, moment: datetime) -> Day:
        """Return the latest day that had settled at a moment."""
        end = (moment.astimezone(ZONE) - SETTLED_AFTER).replace(hour=0, minute=0, second=0, microsecond=0)
        return cls(end - timedelta(days=1), end)
