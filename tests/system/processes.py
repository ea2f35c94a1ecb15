"""Processes that a system test starts, waits for, and stops whatever happens."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import psutil

from tests.demo.processes import REPOSITORY

LOOPBACK = "127.0.0.1"
FOLDER = REPOSITORY / ".work" / "system"
STOP_SECONDS = 20

_T = TypeVar("_T")


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path = REPOSITORY,
    stop_signal: int = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """
    Run a command in a session of its own, with its output in a file; stop all that it started.

    :param command: program and arguments
    :param log: file for its output, written anew
    :param environment: the whole environment; None for this process's
    :param folder: where it runs
    :param stop_signal: what asks it to end in order
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the terminal is for the tests, which stop the others in order
        )
    try:
        yield process
    finally:
        stop(process, stop_signal)


def stop(process: subprocess.Popen[bytes], stop_signal: int = signal.SIGTERM) -> None:
    """Ask a process to end, and end what is left of its session after a time, also where it has ended itself."""
    if process.poll() is None:
        process.send_signal(stop_signal)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    left = session_of(process)
    for member in left:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(left, STOP_SECONDS)
    process.wait(STOP_SECONDS)


def session_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the living processes of the session that a process began, whatever their process group."""
    return [member for member in psutil.process_iter() if _session(member) == process.pid]


def _session(process: psutil.Process) -> int | None:
    try:
        return None if process.status() == psutil.STATUS_ZOMBIE else os.getsid(process.pid)
    except (psutil.NoSuchProcess, ProcessLookupError, PermissionError):
        return None


def wait_for(
    condition: Callable[[], _T | None],
    what: str,
    *,
    seconds: float,
    process: subprocess.Popen[bytes] | None = None,
    pause: float = 0.25,
) -> _T:
    """
    Return the first true value of a condition.

    :param condition: is called again and again; an ``OSError`` is a no, such as a refused connection
    :param what: what is waited for, for the failure's text
    :param seconds: the longest wait
    :param process: gives up as soon as this one has ended
    :param pause: time between two calls
    """
    end = time.monotonic() + seconds
    while True:
        with suppress(OSError):
            if value := condition():
                return value
        if process is not None and process.poll() is not None:
            raise AssertionError(f"{what}: the process ended with {process.returncode}")
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(pause)


def free_ports(number: int) -> list[int]:
    """Return ports that nobody listens on, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [each.getsockname()[1] for each in sockets]


def clean_environment(**variables: str) -> dict[str, str]:
    """Return an environment for an Airflow that shares nothing with any other on this machine."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return inherited | {"PATH": path, "PYTHONUNBUFFERED": "1", "no_proxy": LOOPBACK} | variables
