"""The demo says why it failed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.demo import __main__ as demo
from tests.demo.day import Day
from tests.demo.processes import TimeIsUpError, running
from tests.demo.report import Report

DAG = "nxcloud_call_center_cdr_daily"
NO_SERVER = "http://127.0.0.1:9"


def test_a_failing_task_is_told_before_it_is_tried_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("airflow.dag_processing.dagbag", reason="the demo is for Airflow 3.3")
    end = Day.settled_at(datetime.now(UTC)).end
    environment = demo._environment(NO_SERVER, tmp_path / "airflow")
    with (
        (tmp_path / "demo.log").open("w") as log,
        running("tests.demo.airflow_runs", end.isoformat(), DAG, log=log, environment=environment) as output,
    ):
        result = json.loads(output.readline())
    assert not Report(tmp_path).run(result, [])
    told = capsys.readouterr().out
    assert "The run is failed" in told
    assert f"fetch: NXCloudTransportError: No whole answer from {NO_SERVER}: ConnectionRefusedError" in told
    assert demo.ACCESS_SECRET not in told


def test_no_result_within_the_time_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "LONGEST_AIRFLOW_SECONDS", 0)
    for name, path in (("FOLDER", tmp_path), ("LANDING", tmp_path / "landing"), ("LOG", tmp_path / "demo.log")):
        monkeypatch.setattr(demo, name, path)
    monkeypatch.setattr(demo, "REPOSITORY", tmp_path)
    assert demo.main() == 1
    assert "Airflow gave no result within 0 seconds" in capsys.readouterr().out


def test_airflow_ends_by_itself(tmp_path: Path) -> None:
    with (
        (tmp_path / "log").open("w") as log,
        running("no_such_module", log=log) as output,
        pytest.raises(demo.NoResultError, match=DAG),
    ):
        demo._read(DAG, output)
    assert "No module named no_such_module" in (tmp_path / "log").read_text()


def test_the_time_limit_of_a_process(tmp_path: Path) -> None:
    with (
        (tmp_path / "log").open("w") as log,
        pytest.raises(TimeIsUpError, match=r"tests\.emulator .* 0 seconds"),
        running("tests.emulator", log=log, longest_seconds=0) as output,
    ):
        output.read()


def test_the_last_line_of_the_log_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "demo.log"
    log.write_text("first\n\x1b[31mOSError: no space left\x1b[0m\n\n")
    Report(tmp_path).broken_off(demo.NoResultError("Airflow gave no result"), log)
    assert (
        capsys.readouterr().out == "\n  Airflow gave no result; the last line of the log:\n  OSError: no space left\n"
    )
