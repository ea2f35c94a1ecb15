"""Look into the archives in `dist/`, and try the wheel: `python -m tests.dist`, which `make dist` runs."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from subprocess import SubprocessError

from tests.compat import COMBINATIONS, REPOSITORY, Combination
from tests.demo.processes import NotStartedError, ended_in_order
from tests.dist import DistError, archives
from tests.dist.archives import Archives
from tests.dist.smoke import CleanAirflow


DIST = REPOSITORY / "dist"
FOLDER = REPOSITORY / ".work" / "dist"
FAILURES = (DistError, SubprocessError, NotStartedError)

#: What is looked at, and a function that returns what it found to be true.
Check = tuple[str, Callable[[], str]]


def main() -> int:
    """Make all checks, also after one has failed; return the exit code."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with ended_in_order():
        failed = [name for name, check in _checks(Archives.of(DIST)) if not _passes(name, check)]
    print(f"\nFailed: {', '.join(failed)}" if failed else "\ndist/ is fit to be released")
    return 1 if failed else 0


def _checks(built: Archives) -> Iterator[Check]:
    yield "metadata", partial(archives.check_metadata, built)
    yield "version", partial(archives.check_version, built)
    yield "wheel", partial(archives.check_wheel, built)
    yield "sdist", partial(archives.check_sdist, built)
    yield "sdist to wheel", partial(archives.check_source_of_wheel, built, FOLDER / "wheel")
    for end in (min, max):
        combination = end(COMBINATIONS, key=_age)
        yield f"Airflow {combination.airflow}", partial(_smoke, built.wheel, combination)


def _age(combination: Combination) -> list[int]:
    return [int(number) for number in combination.airflow.split(".")]


def _smoke(wheel: Path, combination: Combination) -> str:
    airflow = CleanAirflow.install(wheel, combination, FOLDER / combination.name)
    return f"{airflow.check_provider()}; {airflow.check_dag()}"


def _passes(name: str, check: Callable[[], str]) -> bool:
    try:
        result, passed = check(), True
    except FAILURES as error:
        result, passed = str(error), False
    print(f"{'ok' if passed else 'FAILED':<8}{name:<17}{result}", flush=True)
    return passed


if __name__ == "__main__":
    sys.exit(main())
