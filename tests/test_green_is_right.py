"""
Green implies right: both operators over random mixtures of all that a server may do.

Whenever a task succeeds, each record of its interval that the server held throughout is there exactly once, nothing
is there twice, and nothing that the server never held. A task that fails leaves no file.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from hypothesis import given, note
from hypothesis import strategies as st

from airflow_provider_nxcloud.api.errors import NXCloudError
from airflow_provider_nxcloud.operators.cdr import NXCloudCallCenterCdrOperator, NXCloudDidCdrOperator
from tests.api.conftest import examples
from tests.conftest import DAY, DAY_END, DAY_START
from tests.emulator import Emulator, Fault
from tests.emulator.asking import send
from tests.emulator.reporting import call_center_report, did_report
from tests.emulator.store import RecordSet
from tests.trials import KINDS, Record, Trial, trials

OPERATORS = {"call_center": NXCloudCallCenterCdrOperator, "did": NXCloudDidCdrOperator}
REPORTS = {"call_center": call_center_report, "did": did_report}
#: A total that people choose for a ceiling, so that a client may take it for one; at other numbers it is invisible.
ROUND_TOTAL = 500


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
@examples(100)
@given(data=st.data())
def test_whatever_the_server_does(kind: str, data: st.DataObject) -> None:
    assert_green_is_right(data.draw(trials(kind)))


@examples(12)
@given(
    trial=st.builds(
        Trial,
        st.just("did"),
        seed=st.integers(0, 2**16),
        count=st.integers(ROUND_TOTAL - 1, ROUND_TOTAL + 60),
        behaviour=st.sampled_from(["row_ceiling", "depth_ceiling"]).map(
            lambda name: {name: ROUND_TOTAL, "ceiling_in_total": True}
        ),
        order=st.sampled_from(["ascending", "descending", "none"]),
        task=st.fixed_dictionaries(
            {"page_size": st.sampled_from([100, 250]), "consistency": st.sampled_from(["single", "double"])}
        ),
    )
)
def test_a_did_total_that_a_ceiling_caps(trial: Trial) -> None:
    assert_green_is_right(trial)


def assert_green_is_right(trial: Trial) -> None:
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryDirectory() as folder,
        server_of(trial) as server,
    ):
        patch.setenv("AIRFLOW_CONN_NXCLOUD_DEFAULT", connection(server))
        prepare(server, trial)
        states = states_of(patch, server, trial)
        try:
            manifest: Any = task_of(trial, folder).execute({})
        except (NXCloudError, AirflowFailException) as error:
            note(f"failed: {error}")
            assert [path for path in Path(folder).rglob("*") if path.is_file()] == []
            return
        found = Counter(Path(manifest["path"]).read_bytes().splitlines())
        throughout = set.intersection(*states) - lagging_lines(server, trial)
        assert throughout - found.keys() == set(), "records are missing"
        assert found.keys() - set.union(*states) == set(), "records are there that the server never held"
        assert max(found.values(), default=1) == 1, "records are there twice"


def server_of(trial: Trial) -> Emulator:
    return Emulator(
        behaviour=trial.server_behaviour(),
        order=trial.order,
        end_time=trial.end_time,
        **{trial.kind: [*trial.records(), *trial.neighbours()]},  # type: ignore[arg-type]
    )


def prepare(server: Emulator, trial: Trial) -> None:
    """Bring a server into the state in which the task finds it: with old pages in its cache, and faults to come."""
    spare = trial.spare()
    for fault in trial.faults:
        if fault.kind == "cached":
            server.add_fault(fault)
            send(server, trial.kind, query_of(trial, fault))
    for record in spare[: trial.late]:
        server.insert(trial.kind, record)
    for fault in trial.faults:
        if fault.kind != "cached":
            server.add_fault(replace(fault, record=spare.pop()) if fault.kind == "insert" else fault)
    server.reset_statistics()


def query_of(trial: Trial, fault: Fault) -> dict[str, Any]:
    """Return the query for the page that a fault is for, as the task is going to ask it."""
    size, page = trial.task["page_size"], fault.page
    if trial.kind == "did":
        return {"date": DAY.isoformat(), "pageSize": size, "page": page}
    return {"startTime": DAY_START, "endTime": DAY_END, "size": size, "page": page}


def task_of(trial: Trial, folder: str) -> Any:
    filters, _ = trial.chosen()
    return OPERATORS[trial.kind](
        task_id="fetch",
        interval_start=DAY_START,
        interval_end=DAY_END,
        output_path=folder,
        **trial.task,
        **filters,
    )


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


def states_of(patch: pytest.MonkeyPatch, server: Emulator, trial: Trial) -> list[set[bytes]]:
    """Return the list of the sets of lines that the server has held, which grows with each change."""
    records_between = server.call_center_cdrs if trial.kind == "call_center" else server.did_cdrs
    _, is_chosen = trial.chosen()

    def lines() -> set[bytes]:
        chosen = (record for record in records_between(DAY_START, DAY_END) if is_chosen(record))
        return {server.json_of(trial.kind, record) for record in chosen}

    held = [lines()]

    def noting(change: Callable[..., None]) -> Callable[..., None]:
        def changed(self: RecordSet, *args: Any) -> None:
            change(self, *args)
            held.append(lines())

        return changed

    for name in ("insert", "remove"):
        patch.setattr(RecordSet, name, noting(getattr(RecordSet, name)))
    return held


def lagging_lines(server: Emulator, trial: Trial) -> set[bytes]:
    """Return the lines of the records that not every replica holds."""
    report: Callable[[Record], Record] = REPORTS[trial.kind](trial.server_behaviour())
    return {server.json_of(trial.kind, report(record)) for record in trial.lagging_records()}
