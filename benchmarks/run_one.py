"""One contestant's run, in a process of its own: ``python -m benchmarks.run_one CONTESTANT JOB``."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import msgspec

from benchmarks.contestants import CONTESTANTS
from benchmarks.jobs import Cost, Job
from benchmarks.nxcloud import CALL_CENTER
from benchmarks.server import Server


def main(contestant: str, text: str) -> None:
    """Fetch the job's records, and leave the cost in the job's folder."""
    job = msgspec.json.decode(text, type=Job)
    fetch = CONTESTANTS[contestant].load()
    fetch(_warm_up(job))
    Server(job.url).reset_statistics()
    rss_before = _memory("VmRSS")
    cpu, started = _cpu_seconds(), time.perf_counter()
    fetch(job)
    seconds, cpu = time.perf_counter() - started, _cpu_seconds() - cpu
    cost = Cost(seconds, cpu, rss_before, _memory("VmHWM"))
    (job.folder / "cost.json").write_bytes(msgspec.json.encode(cost))


def _warm_up(job: Job) -> Job:
    """Return a fetch of one second's records: after it, all that is imported late is imported."""
    folder = job.folder / "warm-up"
    folder.mkdir()
    return Job(job.url, CALL_CENTER.name, job.start, job.start + 1, 1, str(folder))


def _cpu_seconds() -> float:
    """Return the processor time of all threads, and of child processes that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _memory(field: str) -> int:
    """
    Return a figure of this process's memory, in bytes.

    Unlike ``ru_maxrss``, the kernel's ``VmHWM`` does not begin with the peak of the process that started this one.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


if __name__ == "__main__":
    main(*sys.argv[1:])
