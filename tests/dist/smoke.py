"""The wheel in a clean environment: Airflow lists the provider, and a DAG with both operators fetches all records."""

from __future__ import annotations

import json
import os
import re
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from subprocess import TimeoutExpired
from typing import NamedTuple
from zoneinfo import ZoneInfo

from airflow_provider_nxcloud import __version__
from tests.compat import REPOSITORY, Combination, find_interpreter
from tests.demo.processes import Server, running_server
from tests.dist import DistError
from tests.dist.archives import run_uv
from tests.system.processes import running

DAG = Path(__file__).parent / "dags" / "nxcloud_smoke.py"
KINDS = ("call_center", "did")
LONGEST_SECONDS = 240
#: The end of the day that the DAG run is for.
DAY_END = datetime(2026, 3, 18, tzinfo=ZoneInfo("Asia/Shanghai"))
ACCESS_KEY = "smoke-access-key"
ACCESS_SECRET = "smoke-access-secret"


class CleanAirflow(NamedTuple):
    """
    An environment that holds the wheel and an Airflow, with what they need.

    :param combination: which Airflow, on which Python
    :param folder: holds the environment, Airflow's home, the logs and the records
    """

    combination: Combination
    folder: Path

    @classmethod
    def install(cls, wheel: Path, combination: Combination, folder: Path) -> CleanAirflow:
        """Make the environment, in a folder that is not there yet."""
        interpreter = find_interpreter(combination.python)
        if interpreter is None:
            raise DistError(f"there is no Python {combination.python} on this machine")
        run_uv("venv", "--python", interpreter, folder / "venv")
        into = ("--python", folder / "venv" / "bin" / "python")
        run_uv("pip", "install", *into, *combination.resolution, f"apache-airflow=={combination.airflow}", wheel)
        dags = folder / "home" / "dags"
        dags.mkdir(parents=True)
        shutil.copy(DAG, dags)
        return cls(combination, folder)

    def check_provider(self) -> str:
        """Let Airflow list the providers."""
        self._airflow("db", "migrate")
        table = self._airflow("providers", "list", "--output", "plain")
        if not re.search(rf"^airflow-provider-nxcloud .* {re.escape(__version__)} *$", table, re.MULTILINE):
            raise DistError(f"`airflow providers list` does not show {__version__}:\n{table}")
        return f"`airflow providers list` shows {__version__}"

    def check_dag(self) -> str:
        """Run the DAG against a stand-in server, and compare what it wrote with what the server holds."""
        with (
            (self.folder / "server.log").open("w") as log,
            running_server(log, access_key=ACCESS_KEY, access_secret=ACCESS_SECRET) as server,
        ):
            self._airflow("dags", "test", DAG.stem, DAY_END.isoformat(), **_connection(server))
            return self._compared(server)

    def _compared(self, server: Server) -> str:
        start = DAY_END - timedelta(days=1)
        counts = []
        for kind in KINDS:
            held = server.records(kind, start.timestamp(), DAY_END.timestamp())
            lines = [line for path in (self.folder / kind).rglob("*.jsonl") for line in path.read_bytes().splitlines()]
            if sorted(lines) != sorted(held) or not held:
                raise DistError(f"{len(lines)} {kind} records were written, which are not the {len(held)} of the day")
            counts.append(f"{len(lines)} {kind}")
        return f"{' and '.join(counts)} records, each as the server holds it"

    def _airflow(self, *arguments: str, **variables: str) -> str:
        """Run a command of Airflow, and return what it wrote."""
        log = self.folder / f"{arguments[0]}-{arguments[1]}.log"
        command: list[str | Path] = [self.folder / "venv" / "bin" / "airflow", *arguments]
        environment = _clean_environment(self.folder) | variables
        with running(command, log=log, environment=environment, folder=self.folder / "home") as process:
            try:
                failed = process.wait(LONGEST_SECONDS) != 0
            except TimeoutExpired:
                failed = True
        if failed:
            raise DistError(f"`airflow {' '.join(arguments)}` failed; its log is {log.relative_to(REPOSITORY)}")
        return log.read_text()


def _connection(server: Server) -> dict[str, str]:
    connection = {"conn_type": "nxcloud", "host": server.url, "login": ACCESS_KEY, "password": ACCESS_SECRET}
    return {"AIRFLOW_CONN_NXCLOUD_DEFAULT": json.dumps(connection)}


def _clean_environment(folder: Path) -> dict[str, str]:
    """Return an environment in which no other Python and no other Airflow is known."""
    inherited = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    return inherited | {
        "PATH": f"{folder}/venv/bin{os.pathsep}{os.defpath}",
        "AIRFLOW_HOME": f"{folder}/home",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "NXCLOUD_OUTPUT_ROOT": str(folder),
        "NXCLOUD_REPOSITORY": str(REPOSITORY),
        "no_proxy": "127.0.0.1",
    }
