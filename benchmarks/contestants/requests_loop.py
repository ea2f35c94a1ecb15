"""A loop as people write it: one ``requests`` session, a page at a time, ``json.dump`` of the list in the end."""

from __future__ import annotations

import json
from typing import Any

import requests

from benchmarks.jobs import Job
from benchmarks.nxcloud import signed_headers


def fetch(job: Job) -> None:
    """Collect all pages in a list, and write it."""
    kind = job.kind
    query = kind.query(job.start, job.end)
    records: list[dict[str, Any]] = []
    page = 1
    with requests.Session() as session:
        while True:
            body = json.dumps({**query, "page": page})
            response = session.post(job.url + kind.path, data=body, headers=signed_headers(kind, body), timeout=30)
            response.raise_for_status()
            rows = kind.records(response.json())
            records.extend(rows)
            if len(rows) < kind.page_size:
                break
            page += 1
    with (job.folder / "records.json").open("w") as file:
        json.dump(records, file)
