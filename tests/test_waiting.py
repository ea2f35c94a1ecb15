"""When the operators wait, how, and what for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_nxcloud import waiting
from airflow_provider_nxcloud.api.errors import NXCloudNotEndedError
from airflow_provider_nxcloud.operators.cdr import NXCloudDidCdrOperator
from tests.conftest import DAY, DAY_END, DAY_START
from tests.emulator import Emulator, generate_did_cdrs

Connect = Callable[..., str]


@pytest.fixture
def server(emulator: Callable[..., Emulator], connection: Connect) -> Emulator:
    server = emulator(did=generate_did_cdrs(DAY, 5))
    connection(server)
    return server


def operator(**options: Any) -> NXCloudDidCdrOperator:
    edges = {"interval_start": DAY_START, "interval_end": DAY_END}
    return NXCloudDidCdrOperator(task_id="fetch", **{**edges, **options})


def seconds_from_now(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


@pytest.mark.parametrize("settle", [timedelta(0), timedelta(hours=1)])
@pytest.mark.parametrize("deferrable", [False, True])
def test_what_has_settled_is_fetched_at_once(server: Emulator, settle: timedelta, deferrable: bool) -> None:
    assert len(operator(settle=settle, deferrable=deferrable).execute({})) == 5


def test_the_triggerer_waits_and_the_same_interval_is_fetched(server: Emulator) -> None:
    end = int(datetime.now(UTC).timestamp())
    task = operator(interval_start=end - 3600, interval_end=end, settle=timedelta(hours=1), deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        task.execute({})
    path, parameters = deferred.value.trigger.serialize()
    assert path.endswith("triggers.temporal.DateTimeTrigger")
    assert 0 <= parameters["moment"].timestamp() - (end + 3600) < 1
    assert deferred.value.kwargs == {"start": end - 3600, "end": end}
    assert server.requests == []

    resumed = operator(interval_start="moved", interval_end="elsewhere")
    method = getattr(resumed, deferred.value.method_name)
    assert len(method({}, None, start=DAY_START, end=DAY_END)) == 5


@pytest.mark.skipif(
    tuple(map(int, version("apache-airflow").split(".")[:2])) < waiting.FIRST_VERSION_WITH_RESCHEDULING,
    reason="Airflow before 3.2 runs a task again at a given time only where it is a sensor",
)
def test_without_the_triggerer_the_task_gives_up_its_worker(server: Emulator) -> None:
    from airflow.sdk.exceptions import AirflowRescheduleException

    end = seconds_from_now(60)
    with pytest.raises(AirflowRescheduleException) as raised:
        operator(interval_end=end, settle=timedelta(0), deferrable=False).execute({})
    assert raised.value.reschedule_date == end.replace(microsecond=0)


def test_or_sleeps_where_airflow_cannot(server: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "airflow_version", "3.1.8")
    end = seconds_from_now(2).replace(microsecond=0)
    operator(interval_end=end, settle=timedelta(0), deferrable=False).execute({})
    assert datetime.now(UTC) >= end


@pytest.mark.parametrize("settle", [timedelta(seconds=-1), 3600, "1h"])
def test_a_wrong_settle_is_named(server: Emulator, settle: Any) -> None:
    with pytest.raises(AirflowFailException, match="settle must"):
        operator(settle=settle).execute({})
    assert server.requests == []


class TestClockOfTheServer:
    """This machine's clock is ten minutes ahead: by it, the interval has ended; by the server's, it has not."""

    AHEAD = 600

    @pytest.fixture
    def end(self, server: Emulator) -> int:
        server.clock_offset = -self.AHEAD
        return int(seconds_from_now(-60).timestamp())

    def test_decides_whether_an_interval_has_ended(self, end: int) -> None:
        with pytest.raises(NXCloudNotEndedError, match=r"may be read in 5[0-9]{2} s"):
            operator(interval_start=end - 3600, interval_end=end).execute({})

    def test_is_waited_for_where_the_task_waits_at_all(self, end: int) -> None:
        task = operator(interval_start=end - 3600, interval_end=end, settle=timedelta(0), deferrable=True)
        with pytest.raises(TaskDeferred) as deferred:
            task.execute({})
        _, parameters = deferred.value.trigger.serialize()
        assert abs(parameters["moment"].timestamp() - (end + self.AHEAD)) < 10
        assert deferred.value.kwargs == {"start": end - 3600, "end": end}
