"""
Random schedules of faults against both operators: every green task's output is right.

Right means: the records of one moment between the start and the end of the fetch, each once, byte for byte.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from hypothesis import given, note, settings
from hypothesis import strategies as st

from airflow_provider_nxcloud.api.errors import NXCloudError
from airflow_provider_nxcloud.operators.cdr import NXCloudCallCenterCdrOperator, NXCloudDidCdrOperator
from tests.conftest import DAY, DAY_END, DAY_START
from tests.emulator import Emulator, Fault, generate_call_center_cdrs, generate_did_cdrs
from tests.emulator.store import RecordSet

SCHEDULES = 200
PAGE_SIZE = 20
GENERATE = {"call_center": generate_call_center_cdrs, "did": generate_did_cdrs}
OPERATORS = {"call_center": NXCloudCallCenterCdrOperator, "did": NXCloudDidCdrOperator}

several = st.integers(1, 3)
places = {
    "after": st.integers(0, 12),
    "page": st.none() | st.integers(1, 8),
}


def faults(kind: str, times: st.SearchStrategy[int] = several, **fields: Any) -> st.SearchStrategy[Fault]:
    return st.builds(Fault, st.just(kind), times=times, **places, **fields)


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
inserts = st.builds(Fault, st.just("insert"), after=st.integers(0, 12))
removals = st.builds(Fault, st.just("remove"), after=st.integers(1, 12))
repeats = faults("serve_page", st.just(1), other_page=st.integers(1, 3))
short = faults("short_page", st.just(1), records=st.integers(1, 5))


@st.composite
def schedules(draw: st.DrawFn) -> tuple[list[Fault], str]:
    """
    Draw faults, and the consistency that they ask for.

    Page numbers of one scan cannot show that a record was removed from a page that was already read, nor that
    the last page was cut short.
    """
    found = draw(st.lists(transient, max_size=5))
    found += draw(st.lists(permanent, max_size=1)) if draw(st.integers(0, 9)) == 0 else []
    moving = draw(st.sampled_from(["still", "inserts", "removals", "both", "wrong pages"]))
    found += draw(st.lists(inserts, max_size=3)) if moving in ("inserts", "both") else []
    found += draw(st.lists(removals, max_size=3)) if moving in ("removals", "both") else []
    found += draw(st.lists(repeats | short, max_size=2)) if moving == "wrong pages" else []
    double = moving in ("removals", "both", "wrong pages") or draw(st.booleans())
    return draw(st.permutations(found)), "double" if double else "single"


@pytest.mark.timeout(280)
@pytest.mark.parametrize("kind", list(OPERATORS))
@settings(max_examples=SCHEDULES, print_blob=True)
@given(
    schedule=schedules(),
    count=st.integers(0, 8 * PAGE_SIZE),
    order=st.sampled_from(["ascending", "descending"]),
    concurrency=st.integers(1, 8),
    seed=st.integers(0, 2**16),
)
def test_a_green_task_is_right(
    kind: str, schedule: tuple[list[Fault], str], count: int, order: Any, concurrency: int, seed: int
) -> None:
    planned, consistency = schedule
    spare = GENERATE[kind](DAY, 6, seed=seed + 1)
    records = GENERATE[kind](DAY, count, seed=seed)
    random.Random(seed).shuffle(records)
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryDirectory() as folder,
        Emulator(
            call_center=records if kind == "call_center" else (), did=records if kind == "did" else (), order=order
        ) as server,
    ):
        patch.setenv("AIRFLOW_CONN_NXCLOUD_DEFAULT", connection(server))
        moments = states(patch, server, kind)
        for fault in planned:
            server.add_fault(replace(fault, record=spare.pop()) if fault.kind == "insert" else fault)
        task = OPERATORS[kind](
            task_id="fetch",
            interval_start=DAY_START,
            interval_end=DAY_END,
            output_path=folder,
            page_size=PAGE_SIZE,
            max_concurrency=concurrency,
            consistency=consistency,
        )
        try:
            manifest: Any = task.execute({})
        except (NXCloudError, AirflowFailException) as error:
            note(f"failed: {error}")
            assert [path for path in Path(folder).rglob("*") if path.is_file()] == []
            return
        found = Counter(Path(manifest["path"]).read_bytes().splitlines())
        assert found in moments


def connection(server: Emulator) -> str:
    return json.dumps(
        {
            "conn_type": "nxcloud",
            "host": server.url,
            "login": server.access_key,
            "password": server.access_secret,
            "extra": {"timeout": 5},
        }
    )


def states(patch: pytest.MonkeyPatch, server: Emulator, kind: str) -> list[Counter[bytes]]:
    """Return the list of the record sets that the server has held, which grows with each change."""

    def truth() -> Counter[bytes]:
        found = server.call_center_cdrs if kind == "call_center" else server.did_cdrs
        return Counter(server.json_of(kind, record) for record in found(DAY_START, DAY_END))

    held = [truth()]

    def noting(change: Any) -> Any:
        def changed(self: RecordSet, *args: Any) -> None:
            change(self, *args)
            held.append(truth())

        return changed

    for name in ("insert", "remove"):
        patch.setattr(RecordSet, name, noting(getattr(RecordSet, name)))
    return held
