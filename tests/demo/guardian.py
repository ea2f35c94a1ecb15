"""
Runs a command, and ends all that came of it: `python -m tests.demo.guardian 60 5 command ...`.

It does so when the command has ended, when its time is up, and when standard input ends, which it does with the process
that started this one, however that one ends: a pipe needs no one to say goodbye.
"""

from __future__ import annotations

import ctypes
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from subprocess import DEVNULL, Popen

import psutil

#: Exit code where the time was up; that of timeout(1).
TIME_IS_UP = 124
#: How often it is looked whether the command has ended.
PAUSE_SECONDS = 0.05
#: Rounds of SIGKILL; a further one is for what was started during the one before.
KILLS = 10
KILL_SECONDS = 1
_PR_SET_CHILD_SUBREAPER = 36


def main(longest_seconds: str, stop_seconds: str, *command: str) -> int:
    """Run a command; return its exit code."""
    _heed_no_signals()
    _adopt_orphans()
    with Popen(command, stdin=DEVNULL) as process:
        try:
            time_is_up = _wait(process, float(longest_seconds))
        finally:
            _end_all(float(stop_seconds))
    return TIME_IS_UP if time_is_up else process.returncode


def _heed_no_signals() -> None:
    """Stay to the end; with a function, as the command would inherit that a signal is ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)


def _adopt_orphans() -> None:
    """Become the parent of each descendant whose own parent has ended, so that none gets lost; Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _wait(process: Popen[bytes], longest_seconds: float) -> bool:
    """Wait for the command, or for the end of standard input; return whether the time was up first."""
    end = time.monotonic() + longest_seconds
    while process.poll() is None:
        if time.monotonic() > end:
            return True
        if select.select([sys.stdin], [], [], PAUSE_SECONDS)[0]:
            return False
    return False


def _end_all(stop_seconds: float) -> None:
    """Ask all descendants to end, and kill those that are left."""
    try:
        _signal_all(psutil.Process.terminate, stop_seconds)
    finally:
        _kill_all()


def _kill_all() -> None:
    for _ in range(KILLS):
        if not _signal_all(psutil.Process.kill, KILL_SECONDS):
            return


def _signal_all(send: Callable[[psutil.Process], None], seconds: float) -> bool:
    """Send all descendants a signal, and wait for their ends; return whether there were any."""
    found = psutil.Process().children(recursive=True)
    for each in found:
        with suppress(psutil.NoSuchProcess):
            send(each)
    psutil.wait_procs(found, seconds)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
