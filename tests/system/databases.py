"""SQL servers with new data of their own; they end with the tests, whatever happens to these."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT

from tests.system.processes import LOOPBACK, free_ports, running, wait_for

START_SECONDS = 30
# Of the Debian packages: the servers refuse to run as root.
MARIADB_USER = "mysql"
POSTGRES_USER = "postgres"


@contextmanager
def running_mariadb(folder: Path) -> Iterator[Path]:
    """
    Run MariaDB; give its socket, where ``root`` needs no password.

    :param folder: for its log
    """
    with _data_folder(MARIADB_USER) as data:
        made = data / "data"
        make = ["mariadb-install-db", "--no-defaults", f"--datadir={made}", "--auth-root-authentication-method=normal"]
        _make([*_run_as(MARIADB_USER), *make], data, folder / "mariadb-install-db.log")
        socket = data / "socket"
        serve = ["mariadbd", "--no-defaults", f"--datadir={made}", "--skip-networking", f"--socket={socket}"]
        unicode = "--character-set-server=utf8mb4"
        with running([*_run_as(MARIADB_USER), *serve, unicode], folder=data, log=folder / "mariadb.log") as process:
            ping = ["mariadb-admin", "--no-defaults", "--user=root", f"--socket={socket}", "ping"]
            wait_for(lambda: succeeds(ping), "MariaDB is ready", seconds=START_SECONDS, process=process)
            yield socket


@contextmanager
def running_postgres(folder: Path) -> Iterator[str]:
    """
    Run PostgreSQL with an empty database; give its address.

    :param folder: for its log
    """
    binaries = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    (port,) = free_ports(1)
    with _data_folder(POSTGRES_USER) as data:
        make = [f"{binaries}/initdb", f"--pgdata={data}", "--username=airflow", "--auth=trust", "--encoding=UTF8"]
        _make([*_run_as(POSTGRES_USER), *make], data, folder / "initdb.log")
        serve = [f"{binaries}/postgres", f"-D{data}", f"-h{LOOPBACK}", f"-p{port}", f"-k{data}", "-F"]
        command = [*_run_as(POSTGRES_USER), *serve]
        with running(command, folder=data, log=folder / "postgres.log", stop_signal=SIGINT) as process:
            ready = [f"{binaries}/pg_isready", f"--host={LOOPBACK}", f"--port={port}"]
            wait_for(lambda: succeeds(ready), "PostgreSQL is ready", seconds=START_SECONDS, process=process)
            yield f"airflow@{LOOPBACK}:{port}/postgres"


def succeeds(command: list[str]) -> bool:
    """Tell whether a command ends well."""
    return subprocess.run(command, timeout=START_SECONDS, capture_output=True).returncode == 0


@contextmanager
def _data_folder(user: str) -> Iterator[Path]:
    """Give a new folder that a server can reach as whoever it runs as: the work tree may be closed to others."""
    folder = Path(tempfile.mkdtemp(prefix=f"nxcloud-{user}-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, user, user)
        yield folder
    finally:
        shutil.rmtree(folder)


def _make(command: list[str], data: Path, log: Path) -> None:
    with running(command, folder=data, log=log) as process:
        assert process.wait(START_SECONDS) == 0, f"{log.stem} failed; see {log}"


def _run_as(user: str) -> list[str]:
    """Return the start of a command line: the server ends with the tests even where these are killed."""
    command = ["setpriv", "--pdeathsig", "TERM"]
    return [*command, "--reuid", user, "--regid", user, "--init-groups"] if os.geteuid() == 0 else command
