"""How the server reports a record, which may not be how it is."""

import datetime
from collections.abc import Callable

from tests.emulator.behaviour import Behaviour, Unit
from tests.emulator.records import Record

Report = Callable[[Record], Record]

_CALL_CENTER_TIMES = ("answerTime", "endTime", "inQueueTime", "outQueueTime", "ringTime", "startTime")
_DID_TIMES = ("startTime", "endTime")
_UNITS: dict[Unit, Callable[[int], int]] = {
    "milliseconds": lambda time: time,
    "microseconds": lambda time: time * 1000,
    "seconds": lambda time: time // 1000,
}


def call_center_report(behaviour: Behaviour) -> Report:
    """Return what makes of a call center record the one that is reported; a time of 0 is none, and stays."""
    shift, in_unit = behaviour.reported_shift_seconds * 1000, _UNITS[behaviour.reported_unit]
    if not shift and behaviour.reported_unit == "milliseconds":
        return _as_it_is
    return lambda record: (
        record | {name: in_unit(record[name] + shift) for name in _CALL_CENTER_TIMES if record.get(name)}
    )


def did_report(behaviour: Behaviour) -> Report:
    """Return what makes of a DID record the one that is reported."""
    if not behaviour.reported_shift_seconds and not behaviour.without_key:
        return _as_it_is
    shift = datetime.timedelta(seconds=behaviour.reported_shift_seconds)

    def report(record: Record) -> Record:
        shifted = {name: _later(record[name], shift) for name in _DID_TIMES if record.get(name)}
        return {
            name: shifted.get(name, value)
            for name, value in record.items()
            if not (behaviour.without_key and name == "id")
        }

    return report


def _as_it_is(record: Record) -> Record:
    return record


def _later(wall_clock: str, shift: datetime.timedelta) -> str:
    return str(datetime.datetime.fromisoformat(wall_clock) + shift)
