"""The processes that the demo starts, and stops whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from threading import Timer
from typing import IO, NamedTuple
from urllib.parse import urlsplit

REPOSITORY = Path(__file__).parents[2]
LONGEST_SECONDS = 170
STOP_SECONDS = 5


class NotStartedError(Exception):
    """A process ended before it was ready."""


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
) -> Iterator[IO[str]]:
    """Run a Python module in a process of its own; give its standard output, and send the rest to the log."""
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,  # Ctrl-C in the terminal is for the demo, which stops the others in order
    ) as process:
        limit = Timer(longest_seconds, _stop, [process])
        limit.start()
        try:
            assert process.stdout is not None
            yield process.stdout
        finally:
            limit.cancel()
            _stop(process)


def _stop(process: subprocess.Popen[str]) -> None:
    """Stop a process with everything that it started."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
