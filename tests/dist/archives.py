"""What is in the sdist and the wheel."""

from __future__ import annotations

import subprocess
import tarfile
import tomllib
from collections.abc import Iterable
from configparser import ConfigParser
from email.parser import BytesParser
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import Any, NamedTuple
from zipfile import ZipFile

from airflow_provider_nxcloud import __version__
from tests.compat import REPOSITORY, UV
from tests.dist import DistError

PACKAGE = "airflow_provider_nxcloud"
TWINE = "twine==7.0.0"
LONGEST_SECONDS = 300
#: What hatchling puts into every sdist.
OF_HATCHLING = (".gitignore", "PKG-INFO", "pyproject.toml")


class Archives(NamedTuple):
    """The sdist, and the wheel that was built from it."""

    sdist: Path
    wheel: Path

    @classmethod
    def of(cls, folder: Path) -> Archives:
        """Return the one sdist and the one wheel of a folder."""
        return cls(_only(folder.glob("*.tar.gz")), _only(folder.glob("*.whl")))


def check_metadata(archives: Archives) -> str:
    """Let twine judge the metadata, as PyPI would."""
    run_uv("tool", "run", TWINE, "check", "--strict", *archives)
    return "twine finds nothing wrong"


def check_version(archives: Archives) -> str:
    """Compare the version of the archives, of the package and of the changelog."""
    stem = f"{PACKAGE}-{__version__}"
    _require_equal("the archives", {path.name for path in archives}, {f"{stem}.tar.gz", f"{stem}-py3-none-any.whl"})
    with ZipFile(archives.wheel) as wheel:
        metadata = BytesParser().parsebytes(wheel.read(f"{stem}.dist-info/METADATA"))
    _require_equal("the metadata's version", {metadata["Version"]}, {__version__})
    if f"\n## [{__version__}]" not in (REPOSITORY / "CHANGELOG.md").read_text():
        raise DistError(f"CHANGELOG.md has no section [{__version__}]")
    return f"{__version__}, which CHANGELOG.md tells of"


def check_wheel(archives: Archives) -> str:
    """Compare the wheel with the package's files, and its entry points with those of pyproject.toml."""
    information = f"{PACKAGE}-{__version__}.dist-info"
    of_wheel = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    expected = {*_sources([PACKAGE]), f"{PACKAGE}/py.typed", *(f"{information}/{name}" for name in of_wheel)}
    files = _files_of_wheel(archives.wheel)
    _require_equal("the wheel's files", files, expected)
    written = ConfigParser(delimiters="=")
    with ZipFile(archives.wheel) as wheel:
        written.read_string(wheel.read(f"{information}/entry_points.txt").decode())
    points = {group: dict(written[group]) for group in written.sections()}
    if points != _pyproject()["project"]["entry-points"]:
        raise DistError(f"the wheel's entry points are {points}")
    return f"{len(files)} files: the package with py.typed, its metadata with license and entry point"


def check_sdist(archives: Archives) -> str:
    """Compare the sdist with what pyproject.toml says of it."""
    top = f"{PACKAGE}-{__version__}/"
    with tarfile.open(archives.sdist) as sdist:
        files = {member.name.removeprefix(top) for member in sdist if member.isfile()}
    included = _pyproject()["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    _require_equal("the sdist's files", files, {*OF_HATCHLING, *_sources(path.lstrip("/") for path in included)})
    return f"{len(files)} files, as pyproject.toml says"


def check_source_of_wheel(archives: Archives, folder: Path) -> str:
    """Compare the wheel, which was built from the sdist, with one that is built from the repository."""
    run_uv("build", "--wheel", "--out-dir", folder)
    from_repository = _files_of_wheel(_only(folder.glob("*.whl")))
    _require_equal("the wheel's files", _files_of_wheel(archives.wheel), from_repository)
    return "built from the sdist or from the repository, the wheel has the same files"


def run_uv(*arguments: str | Path) -> None:
    """Run uv in the repository; what it says is in the error, where it fails."""
    command = [str(word) for word in (UV, "--quiet", *arguments)]
    done = subprocess.run(
        command, cwd=REPOSITORY, stdout=PIPE, stderr=STDOUT, text=True, timeout=LONGEST_SECONDS, check=False
    )
    if done.returncode:
        raise DistError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}")


def _sources(paths: Iterable[str]) -> set[str]:
    """Return the files of the repository under these paths, without those that git ignores."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *paths]
    names = subprocess.run(command, cwd=REPOSITORY, stdout=PIPE, text=True, timeout=LONGEST_SECONDS, check=True).stdout
    return {name for name in names.split("\0") if name and (REPOSITORY / name).exists()}


def _files_of_wheel(path: Path) -> set[str]:
    with ZipFile(path) as wheel:
        return set(wheel.namelist())


def _pyproject() -> dict[str, Any]:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def _only(paths: Iterable[Path]) -> Path:
    found = list(paths)
    if len(found) != 1:
        raise DistError(f"there should be one archive, not {[path.name for path in found]}")
    return found[0]


def _require_equal(what: str, found: set[str], expected: set[str]) -> None:
    if found != expected:
        missing, unexpected = sorted(expected - found), sorted(found - expected)
        raise DistError(f"{what}: missing {missing}, unexpected {unexpected}")
