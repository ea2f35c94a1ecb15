"""The Connection's test, as the button in the UI makes it over the REST API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.demo.processes import Server
from tests.system.standalone.conftest import ACCESS_KEY, ACCESS_SECRET
from tests.system.standalone.deployment import Deployment

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

WRONG_SECRET = "system-wrong-secret"


def test_a_good_connection(airflow: Deployment, server: Server) -> None:
    answer = try_out(airflow, server, ACCESS_SECRET)
    assert answer == {"status": True, "message": "call_center_cdr: permitted; did_cdr: permitted"}


def test_a_wrong_secret(airflow: Deployment, server: Server) -> None:
    answer = try_out(airflow, server, WRONG_SECRET)
    assert answer["status"] is False
    assert "signature" in answer["message"].lower()
    assert WRONG_SECRET not in answer["message"]
    assert ACCESS_KEY not in answer["message"]


def test_a_connection_that_is_not_usable(airflow: Deployment, server: Server) -> None:
    answer = try_out(airflow, server, ACCESS_SECRET, extra='{"timezone": "Mars/Olympus"}')
    assert answer["status"] is False
    assert "'timezone' is wrong" in answer["message"]


def try_out(airflow: Deployment, server: Server, secret: str, **fields: str) -> dict[str, Any]:
    body = {"connection_id": "tested", "conn_type": "nxcloud", "host": server.url} | fields
    return dict(airflow.call("POST", "connections/test", body | {"login": ACCESS_KEY, "password": secret}))
