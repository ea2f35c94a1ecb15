"""What the demo prints."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

INDENT = "  "
SHOWN_LINES = 3
LONGEST_LINE = 400

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_SUMMED = ("calls", "answered", "talk_seconds", "cost")
_COLUMNS: dict[str, Callable[[dict[str, str]], str]] = {
    "calls": lambda row: f"{int(row['calls']):,}",
    "answered": lambda row: f"{int(row['answered']):,}",
    "answer rate": lambda row: f"{int(row['answered']) / int(row['calls']):.1%}",
    "talk time": lambda row: f"{int(row['talk_seconds']) / 3600:,.1f} h",
    "cost": lambda row: f"{Decimal(row['cost']):,.2f}",
}


class Report:
    """Shows the runs in the terminal.

    :param base: folder that paths are shown from
    """

    def __init__(self, base: Path) -> None:
        self._base = base
        self._console = Console(highlight=False)

    def begin(self, day: datetime, url: str, latency_ms: int, airflow: str) -> None:
        """Say what runs against what."""
        self._console.print(f"[bold]Two daily DAGs in Airflow {airflow}, for {day:%Y-%m-%d} ({day.tzinfo})[/]")
        self._console.print(f"[dim]Stand-in server on {url}: {latency_ms} ms latency, invented records[/]")

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Show in a terminal that something is going on."""
        with self._console.status("Airflow is running the DAGs …"):
            yield

    def run(self, result: dict[str, Any], held: list[bytes]) -> bool:
        """Show a run's result beside the records that the server holds; return whether all is well."""
        self._console.print()
        self._console.rule(f"[bold]{result['dag_id']}[/]", align="left", style="cyan")
        if result["state"] != "success":
            self._console.print(f"{INDENT}[bold red]The run is {result['state']}[/]")
            self._print_reason(result.get("error", ""))
            return False
        manifest, summary = result["fetch"], result["summarize"]
        lines = gzip.decompress(Path(manifest["path"]).read_bytes()).splitlines()
        complete = sorted(lines) == sorted(held)
        self._print_facts(manifest, summary, complete, len(held))
        self._print_lines(lines)
        self._print_table(Path(summary["path"]))
        return complete

    def interrupted(self) -> None:
        """Say that the user stopped the demo."""
        self._console.print("\n[yellow]Interrupted; everything that the demo started is stopped[/]")

    def broken_off(self, error: Exception, log: Path) -> None:
        """Say why there is no result, and what was logged last."""
        self._console.print()
        self._print_reason(f"{error}; the last line of the log:")
        self._print_reason(last_line(log))

    def end(self, succeeded: bool, seconds: float, log: Path) -> None:
        """Say how it ended."""
        self._console.print()
        if succeeded:
            self._console.print(f"[bold green]Done in {seconds:.0f} s[/]; everything that the demo started is stopped")
        else:
            self._console.print(f"[bold red]Failed[/]; the log of Airflow and of the server is {self._shown(log)}")

    def _print_facts(self, manifest: dict[str, Any], summary: dict[str, Any], complete: bool, held: int) -> None:
        records, seconds = manifest["records"], manifest["seconds"]
        rate = f"{records / seconds:,.0f} records/s"
        self._print_fact(
            "fetched", f"[bold]{records:,} records[/] in {manifest['pages']} pages, {seconds:.1f} s ({rate})"
        )
        if complete:
            self._print_fact("checked", "[green]each record once, byte for byte as the server holds it[/]")
        else:
            self._print_fact("checked", f"[bold red]not the {held:,} records that the server holds[/]")
        self._print_fact("object", f"{self._shown(manifest['path'])} ({manifest['bytes'] / 1e6:.1f} MB)")
        self._print_fact("summary", self._shown(summary["path"]))

    def _print_fact(self, name: str, text: str) -> None:
        self._console.print(f"{INDENT}[dim]{name:8}[/] {text}", soft_wrap=True)

    def _print_reason(self, text: str) -> None:
        self._console.print(Text(INDENT + text, "red"), soft_wrap=True)

    def _print_lines(self, lines: list[bytes]) -> None:
        self._console.print()
        for line in lines[:SHOWN_LINES]:
            text = Text(INDENT + line.decode(), "dim")
            self._console.print(text, no_wrap=True, overflow="ellipsis")

    def _print_table(self, path: Path) -> None:
        table = Table(box=SIMPLE, show_footer=True, header_style="bold", footer_style="bold")
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        total = {name: str(sum(Decimal(row[name]) for row in rows)) for name in _SUMMED}
        group = next(iter(rows[0]))
        table.add_column(group, "total")
        for heading, cell in _COLUMNS.items():
            table.add_column(heading, cell(total), justify="right")
        for row in rows:
            table.add_row(row[group], *(cell(row) for cell in _COLUMNS.values()))
        self._console.print(table)

    def _shown(self, path: str | Path) -> str:
        return str(Path(path).relative_to(self._base))


def last_line(log: Path) -> str:
    """Return the last line of a log that says something, without its colours."""
    lines = _COLOUR.sub("", log.read_text(encoding="utf-8", errors="replace")).splitlines()
    return next((line for line in reversed(lines) if line.strip()), "(nothing)")[:LONGEST_LINE]
