"""The servers that the deployment stands on, each on loopback with data of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT

import requests

from tests.demo.processes import Server
from tests.system.processes import LOOPBACK, free_ports, running, wait_for

START_SECONDS = 30
POSTGRES_USER = "postgres"  # of the Debian package


@contextmanager
def running_postgres(folder: Path) -> Iterator[str]:
    """
    Run PostgreSQL with a new database; give its address.

    :param folder: for its log
    """
    binaries = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    (port,) = free_ports(1)
    with _folder_of_postgres() as data:
        make = [f"{binaries}/initdb", f"--pgdata={data}", "--username=airflow", "--auth=trust", "--encoding=UTF8"]
        with running([*_as_postgres(), *make], folder=data, log=folder / "initdb.log") as process:
            assert process.wait(START_SECONDS) == 0, f"initdb failed; see {folder / 'initdb.log'}"
        serve = [f"{binaries}/postgres", f"-D{data}", f"-h{LOOPBACK}", f"-p{port}", f"-k{data}", "-F"]
        with running(
            [*_as_postgres(), *serve], folder=data, log=folder / "postgres.log", stop_signal=SIGINT
        ) as process:
            ready = [f"{binaries}/pg_isready", f"--host={LOOPBACK}", f"--port={port}"]
            wait_for(lambda: _succeeds(ready), "PostgreSQL is ready", seconds=START_SECONDS, process=process)
            yield f"airflow@{LOOPBACK}:{port}/postgres"


@contextmanager
def _folder_of_postgres() -> Iterator[Path]:
    """Give a new folder that PostgreSQL can reach as whoever it runs as: the work tree may be closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="nxcloud-postgres-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, POSTGRES_USER, POSTGRES_USER)
        yield folder
    finally:
        shutil.rmtree(folder)


def _as_postgres() -> list[str]:
    """Return the start of a command line: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid", POSTGRES_USER, "--regid", POSTGRES_USER, "--init-groups"]


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
        wait_for(lambda: _succeeds(ping), "Redis is ready", seconds=START_SECONDS, process=process)
        yield f"redis://{LOOPBACK}:{port}/0"


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, timeout=START_SECONDS, capture_output=True).returncode == 0


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
