"""No credential and no signature reaches a log, an error, XCom, a rendered field, a manifest or the database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import DAY, DAY_END, DAY_START
from tests.emulator import Emulator, Fault, generate_call_center_cdrs, generate_did_cdrs

ACCESS_KEY = "invented-key-3f9a7c51"
ACCESS_SECRET = "invented-secret-b81e04d2"
REDACTION_KEY = "invented-redaction-key-c07d"

DAG_FILE = f"""
import os
import pendulum
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_nxcloud.operators.cdr import NXCloudCallCenterCdrOperator, NXCloudDidCdrOperator
from airflow_provider_nxcloud.redaction import PERSONAL_FIELDS

with DAG("secrets", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
    interval = dict(interval_start={DAY_START}, interval_end={DAY_END})
    NXCloudCallCenterCdrOperator(
        task_id="calls", output_path=os.environ["OUT"], redact=PERSONAL_FIELDS["call_center_cdr"], **interval
    )
    NXCloudDidCdrOperator(task_id="dids", redact=PERSONAL_FIELDS["did_cdr"], **interval)
"""
RUN = """
from airflow.providers.common.compat.sdk import redact
from airflow import settings
from airflow.utils.db import initdb
initdb()
settings.configure_logging()  # which initdb has changed in Airflow 2
from secrets_dag import dag
from airflow_provider_nxcloud.api import client
from airflow_provider_nxcloud.hooks.nxcloud import NXCloudHook

client.FIRST_BACKOFF_SECONDS, client.LONGEST_BACKOFF_SECONDS = 0.002, 0.01  # as many retries, not as long
dag_run = dag.test()
print("STATES", {str(ti.state) for ti in dag_run.get_task_instances()})
hook = NXCloudHook()
print("MASKED AS", redact(hook.settings.redaction_key))
print(repr(hook.settings), repr(hook.get_conn()), hook.test_connection())
"""

FAULTS = {
    "success": [Fault("status", status=502, times=2), Fault("reset"), Fault("rate_limit", retry_after=0)],
    "refused": [Fault("error_code", code=1003, message=f"{ACCESS_KEY} / {ACCESS_SECRET}", times=None)],
    "unreadable": [Fault("not_json", times=None)],
}


@pytest.mark.parametrize("case", FAULTS)
def test_nothing_secret_is_to_be_found(
    case: str, emulator: Callable[..., Emulator], connection: Callable[..., str], tmp_path: Path
) -> None:
    server = emulator(
        call_center=generate_call_center_cdrs(DAY, 120),
        did=generate_did_cdrs(DAY, 120),
        access_key=ACCESS_KEY,
        access_secret=ACCESS_SECRET,
    )
    connection(server, redaction_key=REDACTION_KEY)
    for fault in FAULTS[case]:
        server.add_fault(fault)
    home = tmp_path / "home"
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "OUT": str(tmp_path / "landing"),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), str(home / "dags")]),
    }
    (home / "dags").mkdir(parents=True)
    (home / "dags" / "secrets_dag.py").write_text(DAG_FILE)
    done = subprocess.run(
        [sys.executable, "-c", RUN], env=environment, capture_output=True, text=True, timeout=110, check=False
    )
    output = done.stdout + done.stderr
    state = "success" if case == "success" else "failed"
    assert f"STATES {{'{state}'}}" in output, output[-3000:]
    assert "MASKED AS ***" in output
    assert "POST /saas/cc/openapi/cdr/page HTTP/1.1" in output, "the log is not at DEBUG"
    signatures = {request.headers["sign"] for request in server.requests}
    assert len(signatures) == len(server.requests), "an attempt was not signed anew"
    # dag.test()'s stand-in for the supervisor logs, at DEBUG, the request that asks it to mask a secret.
    ours = "".join(line for line in output.splitlines(keepends=True) if "msg=MaskSecret(" not in line)
    everything = {"output": ours.encode()}
    everything |= {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert str(home / "airflow.db") in everything
    secrets = {ACCESS_KEY, ACCESS_SECRET, REDACTION_KEY, *signatures}
    found = [(secret, place) for secret in secrets for place, text in everything.items() if secret.encode() in text]
    assert found == [], json.dumps(found, indent=1)
