"""Records to be held: how many calls, starting within how long a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from tests.conftest import DAY, DAY_START
from tests.emulator import generate_call_center_cdrs, generate_did_cdrs
from tests.emulator.endpoints import CALL_CENTER, Endpoint
from tests.emulator.records import Record

#: The hour of the day at which calls begin to come.
FIRST_HOUR = 10

_START = DAY_START + FIRST_HOUR * 3600
_CALL_CENTER_TIMES = ("startTime", "ringTime", "inQueueTime", "outQueueTime", "answerTime", "endTime")
_DID_TIMES = ("startTime", "endTime")


@dataclass(frozen=True, slots=True)
class Load:
    """
    Calls that start at random moments.

    :param count: how many
    :param seconds: the time within which they start
    :param whole_seconds: call center calls start on the second, as DID calls do
    :param keyed: DID records have their ``id``
    """

    count: int
    seconds: int
    whole_seconds: bool = False
    keyed: bool = True

    def __str__(self) -> str:
        parts = [f"{self.count}in{self.seconds}s", "on_the_second" if self.whole_seconds else ""]
        return "-".join(part for part in [*parts, "" if self.keyed else "without_id"] if part)

    def records(self, endpoint: Endpoint, seed: int) -> list[Record]:
        """Return the records."""
        rng = Random(f"{self}/{seed}")
        if endpoint is CALL_CENTER:
            calls = generate_call_center_cdrs(DAY, self.count, seed=seed)
            return [_call_center_record_at(_START * 1000 + self._milliseconds(rng), call) for call in calls]
        start = datetime.combine(DAY, datetime.min.time()) + timedelta(hours=FIRST_HOUR)
        calls = generate_did_cdrs(DAY, self.count, seed=seed)
        records = [_did_record_at(start + timedelta(seconds=rng.randrange(self.seconds)), call) for call in calls]
        return records if self.keyed else [_without_id(record) for record in records]

    def _milliseconds(self, rng: Random) -> int:
        return rng.randrange(self.seconds) * 1000 if self.whole_seconds else rng.randrange(self.seconds * 1000)


def _call_center_record_at(start: int, record: Record) -> Record:
    later = start - record["startTime"]
    return record | {name: record[name] + later for name in _CALL_CENTER_TIMES if record[name]}


def _did_record_at(start: datetime, record: Record) -> Record:
    later = start - datetime.fromisoformat(record["startTime"])
    return record | {name: str(datetime.fromisoformat(record[name]) + later) for name in _DID_TIMES}


def _without_id(record: Record) -> Record:
    return {name: value for name, value in record.items() if name != "id"}
