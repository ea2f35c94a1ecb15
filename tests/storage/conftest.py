"""Fixtures for tests on object stores."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.storage import run_operator
from tests.storage.stores import Link, S3Server, running_s3_server

Attach = Callable[..., str]


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running_s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def link(s3_server: S3Server) -> Iterator[Link]:
    made = Link(s3_server.port)
    yield made
    made.close()


@pytest.fixture
def storage_connection(monkeypatch: pytest.MonkeyPatch) -> Attach:
    """
    Return a function that makes an Airflow connection of JSON text and returns its id.

    The id is new each time: Airflow keeps the driver of an id as long as the process lives.
    """

    def attach(connection: str) -> str:
        conn_id = f"store_{secrets.token_hex(4)}"
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", connection)
        return conn_id

    return attach


@pytest.fixture
def s3(s3_server: S3Server, storage_connection: Attach) -> str:
    """Id of an Airflow connection that may do all."""
    return storage_connection(s3_server.connection())


@pytest.fixture(autouse=True)
def _short_storage_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the retries' number and order, not their length."""
    monkeypatch.setattr("airflow_provider_nxcloud.storage.commit.FIRST_BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr("airflow_provider_nxcloud.storage.commit.LONGEST_BACKOFF_SECONDS", 0.05)


@pytest.fixture(scope="session", autouse=True)
def _processes() -> None:
    run_operator.prepare()


@pytest.fixture
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the code under test, and processes that the test starts, a temporary folder; it must be empty at the end."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    assert list(folder.iterdir()) == []
