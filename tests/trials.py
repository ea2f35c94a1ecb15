"""
Random servers and tasks: mixtures of all that a server may do, within what can be told from the truth.

The limits, each with its reason, are those of any client:

- Two untruths that fit each other are the truth to whoever asks: so there is at most one that passes (`disturbances`),
  none beside a ceiling or a cap, and a stale total stands alone. More calls in one second than a ceiling lets through
  cannot be asked for apart. A capped DID total has a test of its own.
- A first page that is always empty, of a set of one page, is an empty set.
- One reading of numbered pages does not show that a record went from a page that was read, for good or since another
  replica answers, nor, without a total, that its last page is an old one. `consistency="double"` is for that.
- Times in a wrong zone hide everything that questions about times would show: they come with ties at most, and
  with an exclusive end, since a call at an inclusive one would look like one within.
- Two records with one text and without a key may be one record or two: they are not drawn.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from tests.conftest import DAY, DAY_END, DAY_START, PAUSE_SECONDS, ZONE
from tests.emulator import Behaviour, Fault, generate_call_center_cdrs, generate_did_cdrs

Record = dict[str, Any]
Options = dict[str, Any]
Filter = tuple[Options, Callable[[Record], bool]]

KINDS = ("call_center", "did")
KEYS = {"call_center": "callId", "did": "id"}

_GENERATE = {"call_center": generate_call_center_cdrs, "did": generate_did_cdrs}
#: Filters by the operators' names, and which records they choose.
_FILTERS: dict[str, list[Filter]] = {
    "call_center": [
        ({}, lambda record: True),
        ({"answered": "answered"}, lambda record: bool(record["answered"])),
        ({"direction": "incoming"}, lambda record: record["direction"] == 0),
    ],
    "did": [
        ({}, lambda record: True),
        ({"call_type": "outgoing"}, lambda record: record["callType"] == 1),
        ({"call_type": "incoming"}, lambda record: record["callType"] == 0),
    ],
}
_MOST_RECORDS = 120
_MOST_AT_ONCE = 5  # calls in one second, beside a ceiling or a cap


@dataclass(frozen=True)
class Trial:
    """A server with its records, what goes wrong, and a task."""

    kind: str
    seed: int = 0
    count: int = 50
    moments: int | None = None  # at which all calls start; None: at any
    doubles: int = 0  # records that the server lists twice
    late: int = 0  # records that come when pages have been cached, before the fetch
    lagging: int = 0  # records that only one of two replicas holds
    behaviour: Options = field(default_factory=dict)
    order: Any = "descending"
    end_time: Any = "exclusive"
    faults: tuple[Fault, ...] = ()
    filter: int = 0
    task: Options = field(default_factory=dict)

    def records(self) -> list[Record]:
        """Return the day's records, in random order."""
        records = self._at_moments(_GENERATE[self.kind](DAY, self.count, seed=self.seed))
        doubles = records[: self.doubles]
        return self._random().sample([*records, *doubles], len(records) + len(doubles))

    def spare(self) -> list[Record]:
        """Return as many records that may come later as are needed."""
        needed = self.late + sum(fault.kind == "insert" for fault in self.faults)
        return self._at_moments(_GENERATE[self.kind](DAY, 20, seed=self.seed + 1))[10 : 10 + needed]

    def neighbours(self) -> list[Record]:
        """Return records that start just before the day, and at its end or just after."""
        starts = (DAY_START - 1, DAY_START - 0.001, DAY_END, DAY_END + 0.5, DAY_END + 1.5)
        records = _GENERATE[self.kind](DAY, len(starts), seed=self.seed + 2)
        return [starting_at(self.kind, record, start) for record, start in zip(records, starts, strict=True)]

    def lagging_records(self) -> list[Record]:
        """Return the records that only one replica holds."""
        records = self.records()
        return records[: min(self.lagging, len(records))]

    def chosen(self) -> Filter:
        """Return the task's filter, and what it chooses."""
        return _FILTERS[self.kind][self.filter]

    def server_behaviour(self) -> Behaviour:
        """Return what the server does with every request."""
        lagging = frozenset(record[KEYS[self.kind]] for record in self.lagging_records())
        return Behaviour(**self.behaviour, replicas=2 if lagging else 1, lagging=lagging)

    def _at_moments(self, records: list[Record]) -> list[Record]:
        if self.moments is None:
            return records
        seconds = self._random().sample(range(DAY_START, DAY_END), self.moments)
        return [starting_at(self.kind, record, seconds[number % self.moments]) for number, record in enumerate(records)]

    def _random(self) -> random.Random:
        return random.Random(self.seed)


def starting_at(kind: str, record: Record, start: float) -> Record:
    """Return a record whose call starts at another time, and lasts as long."""
    if kind == "call_center":
        length = record["endTime"] - record["startTime"]
        return record | {"startTime": round(start * 1000), "endTime": round(start * 1000) + length}
    ended, started = (datetime.fromisoformat(record[name]) for name in ("endTime", "startTime"))
    moment = datetime.fromtimestamp(int(start), ZONE).replace(tzinfo=None)
    return record | {"startTime": str(moment), "endTime": str(moment + (ended - started))}


def faults(kind: str, **fields: Any) -> st.SearchStrategy[Fault]:
    """Draw faults of one kind, at any place unless told."""
    places = {"after": st.integers(0, 12), "page": st.none() | st.integers(1, 8), "times": st.integers(1, 3)}
    return st.builds(Fault, st.just(kind), **{**places, **fields})


once, always, at_first = st.just(1), st.none(), st.just(0)
transient = st.one_of(
    faults("latency", seconds=st.floats(0, 0.02)),
    faults("rate_limit", retry_after=st.sampled_from([None, 0, 0.01])),
    faults("status", status=st.sampled_from([408, 500, 502, 503, 504])),
    faults("error_code", code=st.just(99), message=st.just("System error")),
    *(faults(kind) for kind in ("reset", "close", "truncate", "truncate_json", "not_json")),
    faults("misshapen", payload=st.sampled_from([None, [], "text", {"code": 0}])),
    faults("data", payload=st.sampled_from(["text", 1, [1], [[]], {"list": []}])),
)
permanent = faults("error_code", code=st.sampled_from([1002, 1003, 1005, 41000]), message=st.just("no"))
inserts = faults("insert", times=once, page=st.none())
removals = faults("remove", times=once, page=st.none(), after=st.integers(1, 12))
disturbances = st.one_of(
    # An outage is over when the client has paused, or no pause would do.
    faults("outage", times=once, seconds=st.floats(0.001, PAUSE_SECONDS / 2)),
    faults("short_page", times=once, records=st.sampled_from([1, 5, 100])),
    faults("serve_page", times=once, other_page=st.integers(1, 9)),
)
steady = {
    "stuck": faults("serve_page", times=always, after=at_first, page=st.integers(2, 6), other_page=st.integers(1, 9)),
    "cached": faults("cached", times=always, after=at_first, page=st.integers(1, 8)),
    "stale total": faults("stale_total", times=always, after=at_first, page=st.none(), total=st.integers(0, 60)),
}

ties = st.fixed_dictionaries(
    {"ties": st.just("by_query")}, optional={"sort_grain": st.sampled_from(["second", "minute"])}
)
ceilings = st.dictionaries(
    st.sampled_from(["row_ceiling", "depth_ceiling"]), st.integers(15, 60), min_size=1, max_size=1
)
caps = st.fixed_dictionaries({"page_size_cap": st.integers(8, 15), "offset_by": st.sampled_from(["asked", "capped"])})
beyond_end = st.fixed_dictionaries({"beyond_end": st.sampled_from(["last", "first"])})
without_key = st.just({"without_key": True})
zones = st.fixed_dictionaries({"reported_shift_seconds": st.sampled_from([-8, -1, 1, 8]).map(lambda hour: hour * 3600)})
units = st.fixed_dictionaries({"reported_unit": st.sampled_from(["seconds", "microseconds"])})


def mixtures(*parts: st.SearchStrategy[Options]) -> st.SearchStrategy[Options]:
    """Draw some of the parts, merged."""
    return st.tuples(*(st.just({}) | part for part in parts)).map(
        lambda drawn: {name: value for part in drawn for name, value in part.items()}
    )


def behaviours(kind: str, lie: str) -> st.SearchStrategy[Options]:
    """Draw what the server does with every request, beside a lie of its own."""
    keys = [without_key] if kind == "did" else []
    if lie == "wrong times":
        return mixtures(ties, zones if kind == "did" else zones | units)
    if lie in ("stale total", "disturbance"):
        return mixtures(ties, *keys)
    return mixtures(ties, ceilings, caps, beyond_end, *keys)


@st.composite
def movements(draw: st.DrawFn) -> list[Fault]:
    """Draw records that come, go, or both while they are fetched."""
    moving = draw(st.sampled_from(["still", "still", "inserts", "inserts", "removals", "both"]))
    found = draw(st.lists(inserts, min_size=1, max_size=3)) if moving in ("inserts", "both") else []
    found += draw(st.lists(removals, min_size=1, max_size=3)) if moving in ("removals", "both") else []
    return found


@st.composite
def trials(draw: st.DrawFn, kind: str) -> Trial:
    """Draw a trial."""
    lies = ["none", "disturbance", "stuck", "cached", "replicas", "wrong times", *(["stale total"] * (kind == "did"))]
    lie = draw(st.sampled_from(lies))
    behaviour = draw(behaviours(kind, lie))
    moving = draw(movements())
    planned = [*moving, *draw(st.lists(transient, max_size=2))]
    if draw(st.integers(0, 19)) == 0:
        planned.append(draw(permanent))
    if lie == "disturbance":
        planned.append(draw(disturbances))
    if lie in steady:
        planned.append(draw(steady[lie]))
    count = draw(st.integers(0, _MOST_RECORDS))
    needs_double = any(fault.kind == "remove" for fault in moving) or (
        kind == "call_center" and lie in ("cached", "replicas")
    )
    return Trial(
        kind=kind,
        seed=draw(st.integers(0, 2**16)),
        count=count,
        moments=draw(moments(count, behaviour)),
        doubles=0 if "without_key" in behaviour else draw(st.sampled_from([0, 0, 0, 1, 2])),
        late=draw(st.integers(1, 4)) if lie == "cached" else 0,
        lagging=draw(st.integers(1, 3)) if lie == "replicas" else 0,
        behaviour=behaviour,
        order=draw(st.sampled_from(["ascending", "descending", "none"])),
        end_time="exclusive" if lie == "wrong times" else draw(st.sampled_from(["exclusive", "inclusive_seconds"])),
        faults=tuple(draw(st.permutations(planned))),
        filter=draw(st.integers(0, 2)),
        task={
            "page_size": draw(st.integers(5, 20)),
            "max_concurrency": draw(st.integers(1, 8)),
            "consistency": "double" if needs_double else draw(st.sampled_from(["single", "single", "double"])),
            "window": draw(st.none() | st.integers(4, 24).map(lambda hours: timedelta(hours=hours))),
        },
    )


def moments(count: int, behaviour: Options) -> st.SearchStrategy[int | None]:
    """Draw at how many moments the calls start."""
    narrow = {"row_ceiling", "depth_ceiling", "page_size_cap"} & behaviour.keys()
    fewest = -(-count // _MOST_AT_ONCE) if narrow else 1
    return st.none() | st.integers(max(fewest, 1), max(fewest, 40))
