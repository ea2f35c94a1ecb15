"""The servers that the deployment stands on, each on loopback with data of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.demo.processes import Server
from tests.system.databases import START_SECONDS, succeeds
from tests.system.processes import LOOPBACK, free_ports, running, wait_for


@contextmanager
def running_redis(folder: Path) -> Iterator[str]:
    """
    Run Redis, which keeps nothing; give its URL.

    :param folder: for its log
    """
    (port,) = free_ports(1)
    command = ["redis-server", "--bind", LOOPBACK, "--port", str(port), "--save", "", "--dir", str(folder)]
    with running(command, log=folder / "redis.log") as process:
        ping = ["redis-cli", "-h", LOOPBACK, "-p", str(port), "ping"]
        wait_for(lambda: succeeds(ping), "Redis is ready", seconds=START_SECONDS, process=process)
        yield f"redis://{LOOPBACK}:{port}/0"


class NXCloud(Server):
    """A stand-in NXCloud server that runs."""

    def slow_down(self, seconds: float) -> None:
        """Add to the time that each answer takes."""
        fault = {"kind": "latency", "seconds": seconds, "times": None}
        requests.post(f"{self.url}/_emulator/faults", json=[fault], timeout=START_SECONDS).raise_for_status()

    def recover(self) -> None:
        """Answer as fast as before."""
        requests.delete(f"{self.url}/_emulator/faults", timeout=START_SECONDS).raise_for_status()

    def most_in_flight(self) -> int:
        """Return the largest number of requests that were unanswered at one time."""
        answer = requests.get(f"{self.url}/_emulator/statistics", timeout=START_SECONDS)
        answer.raise_for_status()
        return int(answer.json()["max_in_flight"])


@contextmanager
def running_nxcloud(folder: Path, **options: object) -> Iterator[NXCloud]:
    """
    Run a stand-in NXCloud server.

    :param folder: for its log
    :param options: those of its command line
    """
    (port,) = free_ports(1)
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "tests.emulator", f"--port={port}", *arguments]
    server = NXCloud(f"http://{LOOPBACK}:{port}")
    with running(command, log=folder / "nxcloud.log") as process:
        wait_for(
            lambda: server.most_in_flight() == 0,
            "The stand-in server is ready",
            seconds=START_SECONDS,
            process=process,
        )
        yield server
