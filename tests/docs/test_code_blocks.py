"""
Every code block of the pages is true.

Python runs, and its DAGs are loaded by Airflow; JSON is read; shell commands run where they can run here. The page on
the output has tests of its own, which look at what its programs find.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from airflow.models import Connection
from airflow.utils.session import create_session
from sqlalchemy import delete

from airflow_provider_nxcloud.api.endpoints import CALL_CENTER_CDR
from tests.conftest import DAY
from tests.dag_runs import load
from tests.demo.processes import REPOSITORY
from tests.docs.pages import Page, pages
from tests.emulator import Emulator, generate_call_center_cdrs, generate_did_cdrs
from tests.system.processes import clean_environment, free_ports, running

ELSEWHERE = {"docs/output.md"}
#: Shell commands that cannot run in a test: what they need, and where it is proven instead.
NOT_RUN = {
    "pip install": "needs a package index; make test-wheel and make dist install the package",
    "python3.11 -m venv": "makes a new environment; the environment of the tests stands in for it",
    "/bin/pip install": "likewise",
    "make ": "runs the tests",
    "git ": "changes the repository",
}
CALLS = 30
#: A busy machine starts Airflow's command in half a minute.
LONGEST_SECONDS = 300
README = Page(REPOSITORY / "README.md")
(BY_HAND,) = (text for _, text in README.blocks if "airflow dags test" in text)


def blocks(*languages: str) -> list[Any]:
    return [
        pytest.param(text, id=f"{page.name}-{number}")
        for page in pages()
        if page.name not in ELSEWHERE
        for number, (language, text) in enumerate(page.blocks, 1)
        if language in languages
    ]


@pytest.fixture
def server(emulator: Callable[..., Emulator], connection: Callable[..., str]) -> Emulator:
    server = emulator(call_center=generate_call_center_cdrs(DAY, CALLS), did=generate_did_cdrs(DAY, CALLS))
    connection(server)
    return server


def test_no_other_language() -> None:
    known = {"python", "bash", "json", "dockerfile", "text", "sql"}
    assert {language for page in pages() for language, _ in page.blocks} <= known


@pytest.mark.parametrize("program", blocks("python"))
def test_python(program: str, server: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "block.py"
    file.write_text(with_imports(program), encoding="utf-8")
    if "DAG(" in program or "@dag" in program:
        assert_dags_load(file)
    else:
        exec(compile(file.read_text(), str(file), "exec"), {"__name__": "block"})  # noqa: S102


def with_imports(program: str) -> str:
    """Return a program; one line of an operator's or the hook's gets the imports that the reader has seen before."""
    if "import" in program:
        return program
    return (
        "from datetime import timedelta\n"
        "from airflow_provider_nxcloud.operators.cdr import NXCloudCallCenterCdrOperator, NXCloudDidCdrOperator\n"
        + program
    )


def assert_dags_load(file: Path) -> None:
    if "airflow.sdk" in file.read_text():
        pytest.importorskip("airflow.sdk", reason="the page says what Airflow 2 has instead")
    bag = load(file)
    assert not bag.import_errors
    assert bag.dags


def test_a_broken_dag_is_found(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text("from airflow.providers.common.compat.sdk import DAG\nDAG('broken', no_such_parameter=1)\n")
    with pytest.raises(AssertionError):
        assert_dags_load(file)


@pytest.mark.parametrize("text", blocks("json"))
def test_json(text: str) -> None:
    value = json.loads(text)
    if "callId" in value:
        assert set(value) <= {field.name for field in CALL_CENTER_CDR.fields}


@pytest.mark.timeout(LONGEST_SECONDS + 10)
@pytest.mark.parametrize("text", [block for block in blocks("bash") if block.values != (BY_HAND,)])
def test_shell(text: str, shell: Callable[[str], str]) -> None:
    if runnable := "\n".join(line for line in commands(text) if not cannot_run(line)):
        shell(runnable)


def commands(text: str) -> Iterator[str]:
    """Yield the commands of a block, those over several lines whole."""
    command = ""
    for line in text.splitlines():
        command += line + "\n"
        if not line.endswith("\\") and command.count("'") % 2 == 0:
            yield command.strip()
            command = ""
    assert not command, "a quote or a command has no end"


def cannot_run(command: str) -> bool:
    return any(command.startswith(name) or name in command.split(" --")[0] for name in NOT_RUN)


@pytest.fixture
def shell(database: None, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Return a function that runs commands in a shell of an empty home, and gives their output; all ends with it."""

    def run(script: str) -> str:
        (port,) = free_ports(1)
        command = ["bash", "-e", "-u", "-o", "pipefail", "-c", script.replace("8765", str(port))]
        environment = clean_environment(
            HOME=str(tmp_path), AIRFLOW_HOME=os.environ["AIRFLOW_HOME"], AIRFLOW__CORE__LOAD_EXAMPLES="False"
        )
        log = tmp_path / "output.log"
        with running(command, log=log, environment=environment, folder=tmp_path) as process:
            code = process.wait(LONGEST_SECONDS)
        output = log.read_text(encoding="utf-8")
        assert code == 0, output
        return output

    for name in ("example_dags", "tests"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    yield run
    with create_session() as session:
        session.execute(delete(Connection))


@pytest.mark.skipif(
    version("apache-airflow").startswith("3.0."),
    reason="in Airflow 3.0, `airflow dags test` refuses assets that no DAG processor has registered",
)
@pytest.mark.timeout(LONGEST_SECONDS + 10)
def test_trying_it_by_hand(shell: Callable[[str], str]) -> None:
    output = shell(BY_HAND)
    assert "call_center_cdr_20261119T160000Z_20261120T160000Z.jsonl.gz" in output
    assert "call_center_cdr_by_direction.csv" in output
