"""The processes that the demo starts, and stops whatever happens."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import urlsplit

from tests.demo.guardian import TIME_IS_UP

REPOSITORY = Path(__file__).parents[2]
LONGEST_SECONDS = 170
STOP_SECONDS = 5


class NotStartedError(Exception):
    """A process ended before it was ready."""


class TimeIsUpError(Exception):
    """A process was ended as it took too long."""


class Server(NamedTuple):
    """A stand-in NXCloud server that runs."""

    url: str

    def records(self, kind: str, start: float, end: float) -> list[bytes]:
        """Return the records that it holds of an interval, each as its compact JSON."""
        connection = HTTPConnection(urlsplit(self.url).netloc)
        try:
            connection.request("GET", f"/_emulator/records/{kind}?start={start}&end={end}")
            return connection.getresponse().read().split(b"\n")[:-1]
        finally:
            connection.close()


@contextmanager
def running_server(log: IO[str], *, longest_seconds: float = LONGEST_SECONDS, **options: object) -> Iterator[Server]:
    """Run a stand-in NXCloud server on a free port; the options are those of its command line."""
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    with running("tests.emulator", *arguments, log=log, longest_seconds=longest_seconds) as output:
        if not (ready := output.readline()):
            raise NotStartedError("The stand-in server did not start")
        yield Server(ready.split()[-1])


@contextmanager
def running(
    module: str,
    *arguments: str,
    log: IO[str],
    environment: Mapping[str, str] | None = None,
    longest_seconds: float = LONGEST_SECONDS,
    stop_seconds: float = STOP_SECONDS,
) -> Iterator[IO[str]]:
    """
    Run a Python module in a process of its own; give its standard output, and send the rest to the log.

    A guardian runs it, which ends the module and all that came of it: when the block is left, and also where this
    process is killed within it.

    :raises TimeIsUpError: when the block is left, whatever else its fate, if the module was ended as it took too long
    """
    limits = (str(longest_seconds), str(stop_seconds))
    with subprocess.Popen(
        [sys.executable, "-m", "tests.demo.guardian", *limits, sys.executable, "-u", "-m", module, *arguments],
        cwd=REPOSITORY,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,  # Ctrl-C in the terminal is for the demo, which stops the others in order
    ) as guardian:
        assert guardian.stdin is not None
        assert guardian.stdout is not None
        try:
            yield guardian.stdout
        finally:
            guardian.stdin.close()
            if guardian.wait() == TIME_IS_UP:
                raise TimeIsUpError(f"{module} was ended after {longest_seconds:.0f} seconds")


@contextmanager
def ended_in_order() -> Iterator[None]:
    """
    Let a request to end pass through every ``finally``, as Ctrl-C does.

    The first one counts: another, of someone impatient, is not to break off what ends the processes.
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def end(number: int, _: object) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt(signal.Signals(number))

    previous = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
