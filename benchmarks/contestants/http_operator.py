"""Airflow's ``HttpOperator`` with a pagination function and a signing ``auth_type``, default settings."""

from __future__ import annotations

import json
from typing import Any

from airflow.providers.http.operators.http import HttpOperator
from requests import Response

from benchmarks.jobs import Job
from benchmarks.nxcloud import CALL_CENTER, DID, SigningAuth


class _CallCenterAuth(SigningAuth):
    def __init__(self, login: str, password: str) -> None:
        super().__init__(CALL_CENTER)


class _DidAuth(SigningAuth):
    def __init__(self, login: str, password: str) -> None:
        super().__init__(DID)


_AUTHS: dict[str, type[SigningAuth]] = {"call_center": _CallCenterAuth, "did": _DidAuth}


def fetch(job: Job) -> None:
    """Let the operator return all records, and write them as JSON lines."""
    kind = job.kind

    def next_page(response: Response) -> dict[str, Any] | None:
        if len(kind.records(response.json())) < kind.page_size:
            return None
        body: Any = response.request.body
        asked = json.loads(body)
        return {"data": json.dumps({**asked, "page": asked["page"] + 1})}

    def all_records(responses: list[Response]) -> list[dict[str, Any]]:
        return [record for response in responses for record in kind.records(response.json())]

    operator = HttpOperator(
        task_id="fetch",
        endpoint=kind.path,
        data=json.dumps({**kind.query(job.start, job.end), "page": 1}),
        auth_type=_AUTHS[kind.name],
        pagination_function=next_page,
        response_filter=all_records,
    )
    context: Any = {}
    with (job.folder / "records.jsonl").open("w") as file:
        for record in operator.execute(context):
            file.write(json.dumps(record) + "\n")
