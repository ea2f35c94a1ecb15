"""The page that a run ends in: ratios against the targets, tables, notes, and one plot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.contestants import CONTESTANTS, OURS
from benchmarks.imports import EMPTY_DAG, OUR_DAG
from benchmarks.jobs import CONCURRENCY, Case, Results, Run, grouped
from benchmarks.plot import write_plot

MEBIBYTE = 1 << 20
REFERENCE = "jsonl"
OTHERS = ("http_operator", "dlt", "loop")

WALL_TARGET = 7.0
LATENCY_TARGETS = {200: 1.2, 50: 1.3}
#: Our processor time, as a part of another's: how many times it may be.
CPU_TARGETS = {"loop": 1 / 2, "dlt": 1 / 6, "floor": 1.5}
REQUESTS_TARGET = CONCURRENCY + 5
SMALL_REQUESTS_TARGET = 5
MEMORY_TARGET = 20 * MEBIBYTE
IMPORT_TARGET_MILLISECONDS = 50

NOTES = """\
- **What is timed** is the fetch alone: from the call of `execute` (or of the contestant's own function) to its \
return, the file written. Each run is a new process, which first fetches one second's records, so that no \
import is in anyone's figures; it measures its own time, processor time (all threads) and peak memory. Contestants \
run in turn, and the figures are medians. The comparison with the truth comes after the clock has stopped.
- **What is compared with the truth**: of our JSON lines every byte of every record; of the others the number of \
records and their keys. The loop, `HttpOperator` and dlt read money into binary floats, which loses digits; that is \
not counted against them here. The bare fetches keep nothing, so only their requests are counted.
- **The contestants** do what their documentation suggests, with default settings. `HttpOperator`: a \
`pagination_function`, an `auth_type` that signs, a `response_filter`, and the list written as JSON lines. The \
hand-written loop: one `requests.Session`, a page at a time, `json.dump` of the list in the end. dlt: its REST client \
with a paginator and an authentication of our own, to the `filesystem` destination on the local disk, telemetry off. \
None of them proves that its result is complete, signs a retry anew, or replaces the file in one step.
- **The bare fetches** know the number of pages beforehand and throw the pages away, in as many threads as ours \
({concurrency}). One, the floor, is `Session.post`, with a session a thread. The other is the least that `requests` \
can cost: requests prepared by hand, no session, each body read in one go. A DID page holds ten times the records of a \
call center page: there a bare fetch has a tenth of the requests to make, and nothing to decode.
- **The server** is the stand-in of the tests, on a core of its own; the client has the other. It has made its pages \
before the clock starts. Asked for the same pages in one go on one connection, it serves at most {speeds}.
- **Left out or run once**: whoever would only wait for {never:.0f} s and longer is left out, for {once:.0f} s and \
longer is run once, except in the first case. Of the other cases, CSV and Parquet are run at 0 ms only, where their \
cost shows.
- **The spread**: of the runs behind one median, the slowest took up to {spread:.0%} longer than the fastest. \
A real network and a real server add their own times to everyone's alike.
"""


class Figures(NamedTuple):
    """Medians of a contestant's runs."""

    seconds: float
    cpu_seconds: float
    rss_before: float
    rss_peak: float
    requests: float


class Medians:
    """The medians of runs, by contestant, case and latency."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._runs: dict[tuple[str, Case, int], list[Run]] = {}
        for run in runs:
            self._runs.setdefault((run.contestant, run.case, run.latency_ms), []).append(run)
        self.cases = list(dict.fromkeys(case for _, case, _ in self._runs))
        self.latencies = sorted({latency for *_, latency in self._runs})

    def of(self, contestant: str, case: Case, latency_ms: int) -> Figures | None:
        """Return a contestant's figures; None where it did not run."""
        runs = self._runs.get((contestant, case, latency_ms))
        if not runs:
            return None
        costs = [run.cost for run in runs]
        return Figures(
            median(cost.seconds for cost in costs),
            median(cost.cpu_seconds for cost in costs),
            median(cost.rss_before for cost in costs),
            median(cost.rss_peak for cost in costs),
            median(run.requests for run in runs),
        )

    def spread(self) -> float:
        """Return by how much the slowest of repeated runs exceeds the fastest, at most."""
        seconds = [[run.cost.seconds for run in runs] for runs in self._runs.values()]
        return max(max(times) / min(times) - 1 for times in seconds)


class Check(NamedTuple):
    """A measure, what it is to reach, and what it reached."""

    measure: str
    target: str
    measured: str
    reached: bool


def write_report(results: Results, folder: Path) -> Path:
    """Write ``performance.md`` and ``performance.svg``, and return the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    medians = Medians(results.runs)
    case = medians.cases[0]
    times = {
        name: [
            (latency, figures.seconds) for latency in medians.latencies if (figures := medians.of(name, case, latency))
        ]
        for name in CONTESTANTS
    }
    write_plot(folder / "performance.svg", case, times)
    page = folder / "performance.md"
    page.write_text("\n".join(_page(results, medians)), encoding="utf-8")
    return page


def _page(results: Results, medians: Medians) -> Iterator[str]:
    versions = ", ".join(f"{package} {version}" for package, version in results.versions.items())
    yield "# Performance"
    yield ""
    yield f"Written by `{results.command}` on {results.date}, in {results.minutes:.0f} minutes."
    yield f"{results.machine}. {versions}."
    yield ""
    yield "All times come from one run on one machine, side by side: the ratios carry over to other machines, the"
    yield "seconds do not."
    yield ""
    yield f"![Time of the fetch over the server's latency, {medians.cases[0].title}](performance.svg)"
    yield ""
    yield "## Against the targets"
    yield ""
    checks = list(_checks(results, medians))
    rows = [[check.measure, check.target, check.measured, "yes" if check.reached else "**no**"] for check in checks]
    yield from _table(["measure", "to reach", "measured", "reached"], rows)
    for case in medians.cases:
        yield ""
        yield f"## {case.title[0].upper()}{case.title[1:]}"
        yield ""
        yield f"{grouped(case.pages)} pages. Seconds; in brackets, how many times ours as JSON lines."
        yield ""
        yield from _case_table(case, medians)
    yield ""
    yield "## Memory"
    yield ""
    yield "Peak resident memory of the whole process, Airflow included, and what it was before the fetch."
    yield ""
    yield from _memory_table(results.memory)
    yield ""
    yield "## How to read this"
    yield ""
    speeds = " and ".join(f"{grouped(round(n))} {kind} pages/s" for kind, n in results.server_pages_per_second.items())
    yield NOTES.format(
        concurrency=CONCURRENCY, speeds=speeds, never=results.never, once=results.once, spread=medians.spread()
    )


def _checks(results: Results, medians: Medians) -> Iterator[Check]:
    case = medians.cases[0]
    for latency in LATENCY_TARGETS:
        yield from _wall_checks(case, latency, medians)
    for name, target in CPU_TARGETS.items():
        for each in medians.cases:
            yield from _cpu_checks(each, name, target, medians)
    every_run = [*results.runs, *results.memory, results.small]
    ours = [run for run in every_run if run.contestant in OURS]
    beyond = max(run.requests - run.case.pages for run in ours)
    yield Check("requests beyond the pages, in any run", f"≤ {REQUESTS_TARGET}", f"{beyond}", beyond <= REQUESTS_TARGET)
    small = results.small.requests - results.small.case.pages
    yield Check(
        f"the same, {results.small.case.title}",
        f"≤ {SMALL_REQUESTS_TARGET}",
        f"{small}",
        small <= SMALL_REQUESTS_TARGET,
    )
    in_flight = max(run.max_in_flight for run in ours)
    yield Check(
        "requests in flight, as the server counts them", f"≤ {CONCURRENCY}", f"{in_flight}", in_flight <= CONCURRENCY
    )
    yield _memory_check(results.memory)
    yield _import_check(results.import_seconds)
    wrong = sum(not run.faithful for run in every_run)
    yield Check("runs whose records are not the truth", "0", f"{wrong} of {len(every_run)}", not wrong)


def _wall_checks(case: Case, latency: int, medians: Medians) -> Iterator[Check]:
    ours = medians.of(REFERENCE, case, latency)
    if ours is None:
        return
    where = f"{case.title}, {latency} ms"
    for name in OTHERS:
        if other := medians.of(name, case, latency):
            ratio = other.seconds / ours.seconds
            measure = f"time of {CONTESTANTS[name].title} over ours: {where}"
            yield Check(measure, f"≥ {WALL_TARGET:.0f}", f"{ratio:.1f}", ratio >= WALL_TARGET)
    ratio = ours.seconds / (-(-case.pages // CONCURRENCY) * latency / 1000)
    target = LATENCY_TARGETS[latency]
    measure = f"our time over ⌈pages / {CONCURRENCY}⌉ x latency: {where}"
    yield Check(measure, f"≤ {target}", f"{ratio:.2f}", ratio <= target)


def _cpu_checks(case: Case, name: str, target: float, medians: Medians) -> Iterator[Check]:
    ours, other = medians.of(REFERENCE, case, 0), medians.of(name, case, 0)
    if ours is None or other is None:
        return
    ratio = ours.cpu_seconds / other.cpu_seconds
    measure = f"our processor time over that of {CONTESTANTS[name].title}: {case.title}, 0 ms"
    yield Check(measure, f"≤ {target:.2f}", f"{ratio:.2f}", ratio <= target)


def _memory_check(runs: Sequence[Run]) -> Check:
    peaks = {run.case.records: _median_peak(runs, run.case) for run in runs}
    smallest, largest = min(peaks), max(peaks)
    growth = peaks[largest] - peaks[smallest]
    measure = f"growth of peak memory, {grouped(smallest)} to {grouped(largest)} call center records"
    return Check(measure, f"≤ {_mebibytes(MEMORY_TARGET)}", _mebibytes(growth), growth <= MEMORY_TARGET)


def _import_check(seconds: dict[str, float]) -> Check:
    more = (seconds[OUR_DAG] - seconds[EMPTY_DAG]) * 1000
    measure = "import of a DAG file with both operators, beyond one with `EmptyOperator`"
    return Check(measure, f"≤ {IMPORT_TARGET_MILLISECONDS} ms", f"{more:.0f} ms", more <= IMPORT_TARGET_MILLISECONDS)


def _median_peak(runs: Sequence[Run], case: Case) -> float:
    return median(run.cost.rss_peak for run in runs if run.case == case)


def _case_table(case: Case, medians: Medians) -> Iterator[str]:
    headings = ["", *(f"{latency} ms" for latency in medians.latencies), "processor time, 0 ms", "peak memory, 0 ms"]
    rows = [
        [
            CONTESTANTS[name].title,
            *(_with_ratio("seconds", name, case, latency, medians) for latency in medians.latencies),
            _with_ratio("cpu_seconds", name, case, 0, medians),
            _mebibytes(figures.rss_peak) if (figures := medians.of(name, case, 0)) else "-",
        ]
        for name in CONTESTANTS
        if medians.of(name, case, 0)
    ]
    return _table(headings, rows)


def _with_ratio(field: str, name: str, case: Case, latency: int, medians: Medians) -> str:
    figures, ours = medians.of(name, case, latency), medians.of(REFERENCE, case, latency)
    if figures is None or ours is None:
        return "-"
    value: float = getattr(figures, field)
    return f"{value:.2f} ({value / getattr(ours, field):.1f})"


def _memory_table(runs: Sequence[Run]) -> Iterator[str]:
    rows = []
    for case in dict.fromkeys(run.case for run in runs):
        before = median(run.cost.rss_before for run in runs if run.case == case)
        peak = _median_peak(runs, case)
        rows.append([case.title, _mebibytes(before), _mebibytes(peak), _mebibytes(peak - before)])
    return _table(["", "before", "peak", "difference"], rows)


def _mebibytes(size: float) -> str:
    return f"{size / MEBIBYTE:.0f} MiB"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for row in (headings, ["---", *["--:"] * (len(headings) - 1)], *rows):
        yield f"| {' | '.join(row)} |"
