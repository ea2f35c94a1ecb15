"""Whatever the demo starts ends with it, at whatever moment and by whatever signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from tests.demo.processes import REPOSITORY, ended_in_order, running

LONGEST_SECONDS = 30
PAUSE_SECONDS = 0.02
STOP_SECONDS = 0.5
MARK = "NXCLOUD_TEST_MARK"

#: Starts stubborn processes as the demo starts Airflow, and says where it is.
PROGRAM = f"""
from tests.demo.processes import ended_in_order, running
with ended_in_order(), open({os.devnull!r}, "w") as log:
    print("starting", flush=True)
    with running("tests.demo.stubborn", log=log, stop_seconds={STOP_SECONDS}) as output:
        print("started", flush=True)
        print(output.readline().strip(), flush=True)
        try:
            output.read()
        finally:
            print("ending", flush=True)
"""

SIGNALS = [
    pytest.param(signals, id="-".join(signal.Signals(number).name for number in signals))
    for signals in (
        [signal.SIGTERM],
        [signal.SIGINT],
        [signal.SIGHUP],
        [signal.SIGTERM, signal.SIGTERM, signal.SIGINT],
        [signal.SIGTERM, signal.SIGKILL],
        [signal.SIGKILL],
    )
]


class Marked:
    """The processes that came of one, by a variable of their environment."""

    def __init__(self) -> None:
        self.environment = os.environ | {MARK: uuid4().hex}

    def left(self) -> list[psutil.Process]:
        return [process for process in psutil.process_iter() if self._has_mark(process)]

    def assert_all_ended(self) -> None:
        end = time.monotonic() + LONGEST_SECONDS
        while left := self.left():
            assert time.monotonic() < end, left
            time.sleep(PAUSE_SECONDS)

    def kill(self) -> None:
        for process in self.left():
            process.kill()

    def _has_mark(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            return bool(process.environ().get(MARK) == self.environment[MARK])
        return False


@pytest.fixture
def marked() -> Iterator[Marked]:
    processes = Marked()
    yield processes
    processes.kill()


@contextmanager
def demo(marked: Marked) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=REPOSITORY,
        env=marked.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_line(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    assert line in (text.strip() for text in process.stdout)


def send(process: subprocess.Popen[str], signals: Sequence[int]) -> None:
    """Send signals; those after the first while the processes are being ended."""
    process.send_signal(signals[0])
    for number in signals[1:]:
        with suppress(AssertionError):  # it was at a moment before all that, and has ended already
            wait_for_line(process, "ending")
        process.send_signal(number)


@pytest.mark.parametrize("signals", SIGNALS)
@pytest.mark.parametrize("moment", ["starting", "started", "ready"])
def test_nothing_is_left(moment: str, signals: list[int], marked: Marked) -> None:
    with demo(marked) as process:
        wait_for_line(process, moment)
        send(process, signals)
        process.wait(LONGEST_SECONDS)
        marked.assert_all_ended()


def test_nothing_is_left_when_the_block_is_left(tmp_path: Path, marked: Marked) -> None:
    with (
        (tmp_path / "log").open("w") as log,
        running("tests.demo.stubborn", log=log, environment=marked.environment, stop_seconds=STOP_SECONDS) as output,
    ):
        assert output.readline() == "ready\n"
        assert len(marked.left()) == 3  # the guardian, the process and the orphan
    assert not marked.left()


def test_what_a_process_leaves_behind_ends_with_it(tmp_path: Path, marked: Marked) -> None:
    with (
        (tmp_path / "log").open("w") as log,
        running(
            "tests.demo.stubborn", "2", log=log, environment=marked.environment, stop_seconds=STOP_SECONDS
        ) as output,
    ):
        output.read()
        assert not marked.left()


def test_the_first_request_to_end_counts() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    with ended_in_order():
        with pytest.raises(KeyboardInterrupt) as request:
            signal.raise_signal(signal.SIGTERM)
        for number in numbers:
            signal.raise_signal(number)  # without an effect
    assert request.value.args == (signal.SIGTERM,)
    assert [signal.getsignal(number) for number in numbers] == before
