"""The plot: time of the fetch over the server's latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.jobs import CONCURRENCY, Case, grouped

Points = Sequence[tuple[int, float]]


class _Style(NamedTuple):
    label: str
    color: str
    width: float = 1.6
    dashes: str = "-"


_STYLES: Mapping[str, _Style] = {
    "jsonl": _Style("this package", "#0b6fb8", width=3.0),
    "http_operator": _Style("HttpOperator", "#c2410c"),
    "loop": _Style("hand-written loop", "#6d28d9"),
    "dlt": _Style("dlt", "#15803d"),
    "floor": _Style("bare fetch (floor)", "#6b7280", dashes="--"),
}
_BOUND = _Style(f"⌈pages / {CONCURRENCY}⌉ x latency", "#9ca3af", dashes=":")
#: Labels that would overlap are moved apart, to so many times the one below.
_LABEL_STEP = 1.42


def write_plot(path: Path, case: Case, times: Mapping[str, Points]) -> None:
    """Draw a line a contestant, each named at its end."""
    lines = {style: times[name] for name, style in _STYLES.items() if times.get(name)}
    latencies = sorted({latency for points in lines.values() for latency, _ in points})
    rounds = -(-case.pages // CONCURRENCY)
    if any(latencies):
        lines[_BOUND] = [(latency, rounds * latency / 1000) for latency in latencies if latency]
    settings: Any = {
        "svg.hashsalt": "performance",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 11,
    }
    with mpl.rc_context(settings):
        _draw(case, lines, latencies).savefig(path, metadata={"Date": None}, facecolor="white")
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")


def _draw(case: Case, lines: Mapping[_Style, Points], latencies: Sequence[int]) -> Figure:
    figure = Figure(figsize=(8.4, 4.8), layout="constrained")
    axes = figure.subplots()
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda seconds, _: f"{seconds:g} s")
    axes.set_xticks(latencies, [f"{latency} ms" for latency in latencies])
    axes.set_xlabel("latency of the server")
    axes.set_ylabel("time, logarithmic")
    axes.set_title(f"Time to fetch {grouped(case.records)} {case.kind.title} records", loc="left")
    axes.grid(axis="y", color="#e5e7eb")
    axes.spines[["top", "right"]].set_visible(False)
    below = 0.0
    for style, points in sorted(lines.items(), key=lambda line: line[1][-1][1]):
        axes.plot(
            *zip(*points, strict=True), style.dashes, color=style.color, linewidth=style.width, marker="o", markersize=4
        )
        latency, seconds = points[-1]
        below = max(seconds, below * _LABEL_STEP)
        axes.annotate(
            f"{style.label}, {seconds:.2g} s",
            (latency, below),
            (10, 0),
            textcoords="offset points",
            color=style.color,
            va="center",
            annotation_clip=False,
        )
    axes.set_ylim(top=below * _LABEL_STEP)
    return figure
