"""Run the benchmark: ``python -m benchmarks [--quick]``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from tempfile import TemporaryDirectory
from typing import TextIO

import msgspec

from airflow_provider_nxcloud.storage.formats import output_format
from benchmarks.contestants import CONTESTANTS, OURS
from benchmarks.imports import import_times
from benchmarks.jobs import CONCURRENCY, Case, Cost, Job, Results, Run
from benchmarks.nxcloud import ACCESS_KEY, ACCESS_SECRET, CALL_CENTER, DID, ZONE
from benchmarks.report import write_report
from benchmarks.server import Server, running_server
from benchmarks.truth import DAY, Truth, is_faithful, truth_of
from tests.demo.processes import REPOSITORY

WORK = REPOSITORY / ".work" / "bench"
LOG = WORK / "benchmark.log"
RESULTS = WORK / "results.json"
FULL_COMMAND = "make bench"
#: The first of the days that are fetched; its midnight is in the API's zone.
FIRST_DAY = int(datetime(2026, 3, 2, tzinfo=ZONE).timestamp())
PER_DAY = {"call_center": 10_000, "did": 100_000}
#: A night hour of few calls.
SMALL_SECONDS = 3600
#: No run takes longer.
LONGEST_SECONDS = 600
PACKAGES = (
    "airflow-provider-nxcloud",
    "apache-airflow",
    "apache-airflow-providers-http",
    "dlt",
    "msgspec",
    "requests",
    "urllib3",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What is run.

    :param cases: the first is the one that the targets are about
    :param latencies: in milliseconds
    :param repetitions: of everything, unless it waits for too long
    :param memory: records of the two runs whose peak memory is compared
    :param once: seconds of waiting from which a run is not repeated, except in the first case
    :param never: seconds of waiting from which a run is left out
    """

    cases: Sequence[Case]
    latencies: Sequence[int]
    repetitions: int
    memory: Sequence[Case]
    once: float = 4.0
    never: float = 100.0

    def repetitions_of(self, name: str, case: Case, latency_ms: int) -> int:
        """Return how often a contestant is run."""
        contestant = CONTESTANTS[name]
        if name in OURS and not _is_written(name):
            return 0
        if latency_ms and name in OURS[1:] and case is not self.cases[0]:
            return 0  # waiting hides the cost of a format
        waits = case.pages * latency_ms / 1000 / (1 if contestant.sequential else CONCURRENCY)
        if waits >= self.never:
            return 0
        return 1 if waits >= self.once and case is not self.cases[0] else self.repetitions


FULL = Plan(
    cases=(Case(CALL_CENTER.name, 20_000), Case(CALL_CENTER.name, 100_000), Case(DID.name, 100_000)),
    latencies=(0, 50, 200),
    repetitions=3,
    memory=(Case(CALL_CENTER.name, 10_000), Case(CALL_CENTER.name, 1_000_000)),
)
QUICK = Plan(
    cases=(Case(CALL_CENTER.name, 20_000), Case(DID.name, 100_000)),
    latencies=(0, 50),
    repetitions=1,
    memory=(Case(CALL_CENTER.name, 10_000), Case(CALL_CENTER.name, 100_000)),
    never=15.0,
)


def main() -> int:
    """Run what is asked for, and write the report; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--quick", action="store_true", help="a short run, whose report does not go to docs/")
    choice.add_argument("--memory", action="store_true", help="measure memory again; the rest is that of the last run")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    WORK.mkdir(parents=True, exist_ok=True)
    with LOG.open("w") as log:
        if options.memory:
            results = _with_new_memory(msgspec.json.decode(RESULTS.read_bytes(), type=Results), log)
        elif options.quick:
            results = _run(QUICK, f"{FULL_COMMAND} QUICK=1", log)
        else:
            results = _run(FULL, FULL_COMMAND, log)
    RESULTS.write_bytes(msgspec.json.encode(results))
    folder = WORK / "quick" if options.quick else REPOSITORY / "docs"
    report = write_report(results, folder)
    print(f"Report: {report.relative_to(REPOSITORY)}, {results.minutes:.0f} minutes")
    return 0 if all(run.faithful for run in (*results.runs, *results.memory, results.small)) else 1


def _run(plan: Plan, command: str, log: TextIO) -> Results:
    started = time.monotonic()
    speeds: dict[str, float] = {}
    runs: list[Run] = []
    with _server_on_its_own_core(log) as server:
        for case in plan.cases:
            bench = _Bench(server, case, log)
            speeds[case.kind.title] = bench.warm()
            runs += bench.all_runs(plan)
        server.set_latency(0)
        small = _Bench(server, _small_case(server), log, seconds=SMALL_SECONDS).run("jsonl", 0)
        memory = list(_memory_runs(plan, server, log))
    return Results(
        date=datetime.now(UTC).date().isoformat(),
        command=command,
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores: one for the server, one for the "
        f"client; Python {platform.python_version()}",
        versions={package: version(package) for package in PACKAGES},
        server_pages_per_second=speeds,
        runs=runs,
        memory=memory,
        small=small,
        import_seconds=import_times(),
        once=plan.once,
        never=plan.never,
        minutes=(time.monotonic() - started) / 60,
    )


def _with_new_memory(last: Results, log: TextIO) -> Results:
    with _server_on_its_own_core(log) as server:
        memory = list(_memory_runs(FULL, server, log))
    command = f"{FULL_COMMAND}` and, for the memory, `{FULL_COMMAND} MEMORY=1"
    return msgspec.structs.replace(last, memory=memory, command=command)


def _memory_runs(plan: Plan, server: Server, log: TextIO) -> Iterator[Run]:
    for case in plan.memory:
        bench = _Bench(server, case, log)
        for _ in range(plan.repetitions):
            yield bench.run("jsonl", 0)


@contextmanager
def _server_on_its_own_core(log: TextIO) -> Iterator[Server]:
    server_cpu, client_cpu = _cores()
    os.sched_setaffinity(0, {client_cpu})  # the contestants inherit it
    with running_server(
        log, cpu=server_cpu, call_center_per_day=PER_DAY["call_center"], did_per_day=PER_DAY["did"]
    ) as server:
        yield server


def _is_written(format_name: str) -> bool:
    """Tell whether the package writes a format."""
    try:
        output_format("records", format_name, None)
    except ValueError:
        return False
    return True


def _cores() -> tuple[int, int]:
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2:
        raise SystemExit("The benchmark needs Linux and two cores: one for the server, one for the client")
    return cores[0], cores[1]


def _small_case(server: Server) -> Case:
    return Case(CALL_CENTER.name, len(server.records(CALL_CENTER.name, FIRST_DAY, FIRST_DAY + SMALL_SECONDS)))


class _Bench:
    """Runs contestants on one case."""

    def __init__(self, server: Server, case: Case, log: TextIO, seconds: int | None = None) -> None:
        self._server = server
        self._case = case
        self._log = log
        self._seconds = seconds or case.records // PER_DAY[case.kind_name] * DAY
        server.set_latency(0)
        self._truth: Truth = truth_of(server, self._job(""))
        if self._truth.records.members != case.records:
            raise RuntimeError(f"The server holds {self._truth.records.members} records, not {case.records}")

    def warm(self) -> float:
        """Let the server make all pages; return how many it then serves in a second, at most."""
        self._server.pages_per_second(self._job(""))
        return max(self._server.pages_per_second(self._job("")) for _ in range(3))

    def all_runs(self, plan: Plan) -> Iterator[Run]:
        """Run all contestants in turn, again and again, at each latency."""
        for latency_ms in plan.latencies:
            for repetition in range(plan.repetitions):
                for name in CONTESTANTS:
                    if repetition < plan.repetitions_of(name, self._case, latency_ms):
                        yield self.run(name, latency_ms)

    def run(self, name: str, latency_ms: int) -> Run:
        """Run a contestant in a new process, and compare its records with the truth."""
        self._server.set_latency(latency_ms)
        with TemporaryDirectory(dir=WORK, prefix=f"{name}-") as folder:
            job = self._job(folder)
            cost = self._cost(name, job)
            counted = self._server.statistics()
            if CONTESTANTS[name].is_floor:
                faithful = counted["requests"] == job.pages
            else:
                faithful = is_faithful(name, job, self._truth)
        run = Run(name, self._case, latency_ms, cost, counted["requests"], counted["max_in_flight"], faithful)
        print(
            f"{self._case.title:28} {latency_ms:4} ms  {name:14}{cost.seconds:8.2f} s {cost.cpu_seconds:8.2f} s CPU "
            f"{cost.rss_peak >> 20:6} MiB {run.requests:6} requests{'' if faithful else '  NOT THE TRUTH'}",
            flush=True,
        )
        return run

    def _cost(self, name: str, job: Job) -> Cost:
        command = [sys.executable, "-m", "benchmarks.run_one", name, msgspec.json.encode(job).decode()]
        try:
            subprocess.run(  # noqa: S603
                command,
                cwd=REPOSITORY,
                env=_environment(job),
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                timeout=LONGEST_SECONDS,
                check=True,
            )
        except subprocess.SubprocessError as error:
            raise SystemExit(f"{name} failed ({type(error).__name__}): see {LOG.relative_to(REPOSITORY)}") from None
        return msgspec.json.decode((job.folder / "cost.json").read_bytes(), type=Cost)

    def _job(self, folder: str) -> Job:
        end = FIRST_DAY + self._seconds
        return Job(self._server.url, self._case.kind_name, FIRST_DAY, end, self._case.pages, folder)


def _environment(job: Job) -> dict[str, str]:
    """Return the environment of a contestant that neither reads nor writes anything of the user's."""
    connection = {"host": job.url, "login": ACCESS_KEY, "password": ACCESS_SECRET}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "DLT", "PYTHON"))}
    return inherited | {
        "AIRFLOW_HOME": str(WORK / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_NXCLOUD_DEFAULT": json.dumps({"conn_type": "nxcloud", **connection}),
        "AIRFLOW_CONN_HTTP_DEFAULT": json.dumps({"conn_type": "http", **connection}),
        "DLT_DATA_DIR": str(WORK / "dlt"),
        "DLT_PROJECT_DIR": str(WORK / "dlt"),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "TMPDIR": job.output,
        "NO_PROXY": "127.0.0.1",
    }


if __name__ == "__main__":
    sys.exit(main())
