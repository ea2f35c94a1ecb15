"""Airflow's ``HttpOperator`` with a pagination function and a signing ``auth_type``, default settings."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from airflow.providers.http.operators.http import HttpOperator
from requests import PreparedRequest, Response
from requests.auth import AuthBase

from benchmarks.jobs import Job
from benchmarks.nxcloud import CALL_CENTER, DID, Kind, signed_headers


class _SigningAuth(AuthBase):
    kind: ClassVar[Kind]

    def __init__(self, login: str, password: str) -> None:
        """Take what the hook hands over: the Connection's login and password."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers.update(signed_headers(self.kind, request.body or b""))
        return request


class _CallCenterAuth(_SigningAuth):
    kind = CALL_CENTER


class _DidAuth(_SigningAuth):
    kind = DID


_AUTHS: dict[str, type[_SigningAuth]] = {"call_center": _CallCenterAuth, "did": _DidAuth}


def fetch(job: Job) -> None:
    """Let the operator return all records, and write them as JSON lines."""
    kind = job.kind

    def next_page(response: Response) -> dict[str, Any] | None:
        if len(kind.records(response.json())) < kind.page_size:
            return None
        asked = json.loads(response.request.body or b"")
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
